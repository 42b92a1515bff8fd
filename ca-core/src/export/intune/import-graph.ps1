<#
.SYNOPSIS
Imports keys for S/MIME into Intune: the bodies in the folder "graph" beside this script.

.DESCRIPTION
Each body holds a PFX file and its password, encrypted to the key of the certificate
connector. Needs the module Microsoft.Graph.Authentication and the permission
DeviceManagementConfiguration.ReadWrite.All. What Intune has already is passed over, so the
script can be run again. -Check only compares, and changes nothing.

.EXAMPLE
.\import.ps1 -WhatIf
.EXAMPLE
.\import.ps1 -Check
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [switch] $Check,
    [string] $Uri = 'https://graph.microsoft.com/beta/deviceManagement/userPfxCertificates'
)
$ErrorActionPreference = 'Stop'
Import-Module Microsoft.Graph.Authentication
if (-not (Get-MgContext)) {
    Connect-MgGraph -Scopes 'DeviceManagementConfiguration.ReadWrite.All' | Out-Null
}

function Get-ImportedThumbprint([string] $UserPrincipalName) {
    # A quote in a name is doubled for OData.
    $filter = [uri]::EscapeDataString("userPrincipalName eq '" + $UserPrincipalName.Replace("'", "''") + "'")
    $next = $Uri + '?$filter=' + $filter
    while ($next) {
        $page = Invoke-MgGraphRequest -Method GET -Uri $next
        $page['value'] | ForEach-Object { $_['thumbprint'] }
        $next = $page['@odata.nextLink']
    }
}

function Import-Key($Row) {
    $body = [System.IO.File]::ReadAllText((Join-Path $PSScriptRoot "graph/$($Row.Thumbprint).json"))
    Invoke-MgGraphRequest -Method POST -Uri $Uri -Body $body -ContentType 'application/json' | Out-Null
}

@IMPORT@
if ($missing -gt 0) { exit 1 }
