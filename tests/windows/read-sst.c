/* Prints the SHA-256 of every certificate of a serialized certificate store (.sst), read
   as a file and from memory; the two must agree. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>
#include <wincrypt.h>

static int list(HCERTSTORE store, char *out, size_t size)
{
    PCCERT_CONTEXT certificate = NULL;
    size_t used = 0;
    out[0] = 0;
    while ((certificate = CertEnumCertificatesInStore(store, certificate))) {
        BYTE hash[32];
        DWORD length = sizeof hash;
        if (!CryptHashCertificate2(L"SHA256", 0, NULL, certificate->pbCertEncoded, certificate->cbCertEncoded, hash, &length))
            return 0;
        for (DWORD i = 0; i < length && used + 4 < size; i++)
            used += sprintf(out + used, "%02X", hash[i]);
        used += sprintf(out + used, "\n");
    }
    return 1;
}

int main(int argc, char **argv)
{
    static char from_file[1 << 16], from_memory[1 << 16];
    static BYTE bytes[1 << 20];
    CRYPT_DATA_BLOB blob = {0, bytes};
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!file)
        return 2;
    blob.cbData = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    HCERTSTORE one = CertOpenStore(CERT_STORE_PROV_FILENAME_A, X509_ASN_ENCODING, 0,
        CERT_STORE_READONLY_FLAG | CERT_STORE_OPEN_EXISTING_FLAG, argv[1]);
    HCERTSTORE other = CertOpenStore(CERT_STORE_PROV_SERIALIZED, X509_ASN_ENCODING, 0, 0, &blob);
    if (!one || !other || !list(one, from_file, sizeof from_file) || !list(other, from_memory, sizeof from_memory)) {
        fprintf(stderr, "cannot read %s: error %08lx\n", argv[1], GetLastError());
        return 1;
    }
    if (strcmp(from_file, from_memory)) {
        fprintf(stderr, "file and memory differ:\n%s\n%s", from_file, from_memory);
        return 1;
    }
    fputs(from_file, stdout);
    return 0;
}
