<#
.SYNOPSIS
Gives Exchange the authorities that S/MIME certificates are validated with.

.DESCRIPTION
Uploads the store beside this script as the virtual certificate collection of the
organization, and reads it back. It takes the place of the one that was there before: what
other authorities need must be in the same file. First connect to Exchange Online
(Connect-ExchangeOnline), or open the Exchange Management Shell.
-Check only compares, and changes nothing.

.EXAMPLE
Connect-ExchangeOnline; .\THIS-SCRIPT.ps1 -WhatIf
.EXAMPLE
.\THIS-SCRIPT.ps1 -Check
#>
[CmdletBinding(SupportsShouldProcess)]
param([switch] $Check)
$ErrorActionPreference = 'Stop'

$path = Join-Path $PSScriptRoot @FILE@
$expected = @SHA256@
$certificates = @(@THUMBPRINTS@) | Sort-Object

function Get-Fingerprint([byte[]] $Bytes) {
    $sha256 = [System.Security.Cryptography.SHA256]::Create()
    try { [BitConverter]::ToString($sha256.ComputeHash($Bytes)) -replace '-', '' } finally { $sha256.Dispose() }
}

# SHA-1 thumbprints of the certificates of a store, as Windows reads it.
function Get-Thumbprint([byte[]] $Bytes) {
    $collection = New-Object System.Security.Cryptography.X509Certificates.X509Certificate2Collection
    $collection.Import($Bytes)
    $collection | ForEach-Object { $_.Thumbprint } | Sort-Object
}

[byte[]] $store = [System.IO.File]::ReadAllBytes($path)
if ((Get-Fingerprint $store) -ne $expected) {
    throw "$path is not the file that this script was made with; export both again"
}
if (-not $Check -and $PSCmdlet.ShouldProcess('the S/MIME configuration', "Upload $path")) {
    Set-SmimeConfig -SMIMECertificateIssuingCA $store
}
$there = (Get-SmimeConfig).SMIMECertificateIssuingCA
if ($there -is [string]) { $there = [Convert]::FromBase64String($there) }
# Exchange may write the store anew: then its certificates are compared.
if ($there -and (Get-Fingerprint $there) -eq $expected) {
    Write-Output "In place: $path"
    return
}
$found = @(if ($there) { Get-Thumbprint $there })
if (($found -join ' ') -eq ($certificates -join ' ')) {
    Write-Output "In place: the $($found.Count) certificates of $path"
} elseif ($WhatIfPreference) {
    Write-Output "Would take the place of $($found.Count) certificates: $($found -join ', ')"
} else {
    throw "Exchange has $($found.Count) certificates ($($found -join ', ')) instead of $($certificates -join ', '); upload $path again, or see what else changes it"
}
