<#
.SYNOPSIS
Imports keys for S/MIME into Intune: the PFX files beside this script.

.DESCRIPTION
Run it where the key of the certificate connector is: the passwords in passwords.csv are
encrypted with it before they leave that machine. Needs the module IntunePfxImport of
Microsoft's Intune-Resource-Access. What Intune has already is passed over, so the script
can be run again. -Check only compares, and changes nothing. Delete passwords.csv and the
PFX files afterwards.

.EXAMPLE
.\import.ps1 -AdminUserName admin@example.test -WhatIf
.EXAMPLE
.\import.ps1 -AdminUserName admin@example.test -Check
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory)][string] $AdminUserName,
    [string] $ProviderName = 'Microsoft Software Key Storage Provider',
    [string] $KeyName = 'PFXEncryptionKey',
    [string] $Module = 'IntunePfxImport.psd1',
    [switch] $Check
)
$ErrorActionPreference = 'Stop'
Import-Module $Module
Set-IntuneAuthenticationToken -AdminUserName $AdminUserName
try {
    $passwords = @{}
    foreach ($row in Import-Csv (Join-Path $PSScriptRoot 'passwords.csv') -Encoding UTF8) {
        $passwords[$row.PfxFile] = ConvertTo-SecureString -String $row.PfxPassword -AsPlainText -Force
    }
    $missing = 0
    foreach ($user in Import-Csv (Join-Path $PSScriptRoot 'manifest.csv') -Encoding UTF8 | Group-Object UserPrincipalName) {
        $there = @(Get-IntuneUserPfxCertificate -UserList $user.Name | ForEach-Object { $_.Thumbprint })
        foreach ($row in $user.Group) {
            $what = "$($row.Email), certificate $($row.Serial) ($($row.IntendedPurpose))"
            if ($there -contains $row.Thumbprint) {
                Write-Output "There already: $what"
            } elseif ($Check) {
                $missing += 1
                Write-Output "Missing: $what"
            } elseif ($PSCmdlet.ShouldProcess($what, 'Import')) {
                $pfx = @{
                    PathToPfxFile   = Join-Path $PSScriptRoot $row.PfxFile
                    PfxPassword     = $passwords[$row.PfxFile]
                    UPN             = $row.UserPrincipalName
                    ProviderName    = $ProviderName
                    KeyName         = $KeyName
                    IntendedPurpose = $row.IntendedPurpose
                    PaddingScheme   = $row.PaddingScheme
                }
                Import-IntuneUserPfxCertificate -CertificateList (New-IntuneUserPfxCertificate @pfx)
                Write-Output "Imported: $what"
            }
        }
    }
} finally {
    Remove-IntuneAuthenticationToken
}
if ($missing -gt 0) { exit 1 }
