<#
.SYNOPSIS
Sets what Outlook on the web does with S/MIME, and allows S/MIME there.

.DESCRIPTION
Shows every setting that differs and changes it; what is right already is left alone. Run it
in the Exchange Management Shell of Exchange Server (2013 SP1 or later), or after
Connect-ExchangeOnline. On Exchange Server it also allows S/MIME in the virtual directories
of Outlook on the web, in both it allows S/MIME in the mailbox policies.
-Check only compares; it ends with exit code 1 if something differs.

.EXAMPLE
.\owa.ps1 -WhatIf
.EXAMPLE
.\owa.ps1 -Check
#>
[CmdletBinding(SupportsShouldProcess)]
param([switch] $Check)
$ErrorActionPreference = 'Stop'
$script:different = 0

# SHA-256 and AES-256; without the first, Exchange signs with SHA-1.
$wanted = [ordered]@{
    OWAAlwaysSign                                  = @ALWAYS_SIGN@
    OWAAlwaysEncrypt                               = @ALWAYS_ENCRYPT@
    OWADisableCRLCheck                             = $false
    OWACheckCRLOnSend                              = @STRICT_CRL@
    OWACRLRetrievalTimeout                         = @CRL_TIMEOUT@
    OWASigningAlgorithms                           = '800C'
    OWAEncryptionAlgorithms                        = '6610'
    OWAIncludeCertificateChainWithoutRootCertificate = $true
    OWAIncludeSMIMECapabilitiesInMessage           = $true
    OWASignedEmailCertificateInclusion             = $true
    OWAUseSecondaryProxiesWhenFindingCertificates  = $true
}

# Whether something is to be changed; says what differs.
function Test-Difference([string] $Name, $Found, $Expected) {
    if ("$Found" -eq "$Expected") { return $false }
    Write-Host "$Name is $(if ("$Found") { $Found } else { 'not set' }), should be $Expected"
    $script:different += 1
    -not $Check
}

$config = Get-SmimeConfig
$change = @{}
foreach ($name in $wanted.Keys) {
    if (Test-Difference $name $config.$name $wanted[$name]) { $change[$name] = $wanted[$name] }
}
if ($change.Count -gt 0 -and $PSCmdlet.ShouldProcess('the S/MIME configuration', "Set $($change.Keys -join ', ')")) {
    Set-SmimeConfig @change
}

foreach ($policy in Get-OwaMailboxPolicy) {
    if ((Test-Difference "S/MIME of the mailbox policy $($policy.Name)" $policy.SMimeEnabled $true) -and
        $PSCmdlet.ShouldProcess("the mailbox policy $($policy.Name)", 'Allow S/MIME')) {
        Set-OwaMailboxPolicy -Identity $policy.Identity -SMimeEnabled $true
    }
}

# Exchange Online has no virtual directories.
if (Get-Command Get-OwaVirtualDirectory -ErrorAction SilentlyContinue) {
    foreach ($directory in Get-OwaVirtualDirectory) {
        if ((Test-Difference "S/MIME of $($directory.Identity)" $directory.SMimeEnabled $true) -and
            $PSCmdlet.ShouldProcess("$($directory.Identity)", 'Allow S/MIME')) {
            Set-OwaVirtualDirectory -Identity $directory.Identity -SMimeEnabled $true
        }
    }
}

if ($script:different -eq 0) { Write-Output 'Everything is as it should be.' }
if ($Check -and $script:different -gt 0) { exit 1 }
