<#
.SYNOPSIS
Makes Windows trust the authorities in this script.

.DESCRIPTION
With -GpoName the certificates go into a group policy, as the Group Policy Management Editor
would put them under Computer Configuration, Policies, Windows Settings, Security Settings,
Public Key Policies. Needs the module GroupPolicy (RSAT) and the right to edit that policy.
With -LocalMachine they go into the stores of this machine; run it as Administrator.
Running it again changes nothing. -Check says what is missing, and changes nothing.

.EXAMPLE
.\trust.ps1 -GpoName 'Mail authorities'
.EXAMPLE
.\trust.ps1 -LocalMachine
.EXAMPLE
.\trust.ps1 -LocalMachine -Check
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory, ParameterSetName = 'Gpo')][string] $GpoName,
    [Parameter(Mandatory, ParameterSetName = 'Local')][switch] $LocalMachine,
    [switch] $Check
)
$ErrorActionPreference = 'Stop'

$entries = @(
@ENTRIES@
)

$missing = 0
foreach ($entry in $entries) {
    $bytes = [Convert]::FromBase64String($entry.Data)
    $certificate = New-Object System.Security.Cryptography.X509Certificates.X509Certificate2 -ArgumentList @(, $bytes)
    $what = "$($certificate.Subject), SHA-1 $($certificate.Thumbprint)"
    if ($LocalMachine) {
        $there = Test-Path "Cert:\LocalMachine\$($entry.Store)\$($certificate.Thumbprint)"
    } else {
        $key = "HKLM\SOFTWARE\Policies\Microsoft\SystemCertificates\$($entry.Store)\Certificates\$($certificate.Thumbprint)"
        $there = [bool](Get-GPRegistryValue -Name $GpoName -Key $key -ValueName 'Blob' -ErrorAction SilentlyContinue)
    }
    if ($there) {
        Write-Output "There already: $what"
    } elseif ($Check) {
        $missing += 1
        Write-Output "Missing: $what"
    } elseif ($PSCmdlet.ShouldProcess($what, "Trust as $($entry.Store)")) {
        if ($LocalMachine) {
            $store = New-Object System.Security.Cryptography.X509Certificates.X509Store -ArgumentList $entry.Store, 'LocalMachine'
            $store.Open('ReadWrite')
            try { $store.Add($certificate) } finally { $store.Close() }
        } else {
            # The registry keeps certificates as serialized store elements.
            $blob = $certificate.Export([System.Security.Cryptography.X509Certificates.X509ContentType]::SerializedCert)
            Set-GPRegistryValue -Name $GpoName -Key $key -ValueName 'Blob' -Type Binary -Value $blob | Out-Null
        }
        Write-Output "Trusted: $what"
    }
}
if ($missing -gt 0) { exit 1 }
