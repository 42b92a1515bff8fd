$missing = 0
foreach ($user in Import-Csv (Join-Path $PSScriptRoot 'manifest.csv') -Encoding UTF8 | Group-Object UserPrincipalName) {
    $there = @(Get-ImportedThumbprint $user.Name)
    foreach ($row in $user.Group) {
        $what = "$($row.Email), certificate $($row.Serial) ($($row.IntendedPurpose))"
        if ($there -contains $row.Thumbprint) {
            Write-Output "There already: $what"
        } elseif ($Check) {
            $missing += 1
            Write-Output "Missing: $what"
        } elseif ($PSCmdlet.ShouldProcess($what, 'Import')) {
            Import-Key $row
            Write-Output "Imported: $what"
        }
    }
}
