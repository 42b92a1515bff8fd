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

function Get-ImportedThumbprint([string] $UserPrincipalName) {
    Get-IntuneUserPfxCertificate -UserList $UserPrincipalName | ForEach-Object { $_.Thumbprint }
}

function Import-Key($Row) {
    $pfx = @{
        PathToPfxFile   = Join-Path $PSScriptRoot $Row.PfxFile
        PfxPassword     = $passwords[$Row.PfxFile]
        UPN             = $Row.UserPrincipalName
        ProviderName    = $ProviderName
        KeyName         = $KeyName
        IntendedPurpose = $Row.IntendedPurpose
        PaddingScheme   = $Row.PaddingScheme
    }
    Import-IntuneUserPfxCertificate -CertificateList (New-IntuneUserPfxCertificate @pfx)
}

Set-IntuneAuthenticationToken -AdminUserName $AdminUserName
try {
    $passwords = @{}
    foreach ($row in Import-Csv (Join-Path $PSScriptRoot 'passwords.csv') -Encoding UTF8) {
        $passwords[$row.PfxFile] = ConvertTo-SecureString -String $row.PfxPassword -AsPlainText -Force
    }
    @IMPORT@
} finally {
    Remove-IntuneAuthenticationToken
}
if ($missing -gt 0) { exit 1 }
