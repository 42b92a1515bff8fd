//! The texts.

use std::fmt::Write as _;

use super::{MailServer, MailServerRequest};

/// Settings for the server program.
pub(super) fn settings(request: &MailServerRequest<'_>) -> String {
    let clients = !request.clients.is_empty();
    let dir = request.dir;
    let mut text = format!(
        "# TLS for {}: forced, with the files in {dir}, which `install` and `refresh` there keep.\n",
        request.server.unit()
    );
    let lines = match request.server {
        MailServer::Dovecot => dovecot(clients),
        MailServer::Exim => exim(clients),
        MailServer::Haproxy => haproxy(clients),
        MailServer::Nginx => nginx(clients),
        MailServer::Postfix => postfix(clients),
    };
    text.push_str(&lines.replace("@DIR@", dir));
    text
}

fn dovecot(clients: bool) -> String {
    let mut text = "\
# Include it in dovecot.conf: !include @DIR@/settings.conf
ssl = required
ssl_min_protocol = TLSv1.2
ssl_cert = <@DIR@/tls.chain
ssl_key = <@DIR@/tls.key
disable_plaintext_auth = yes
# Dovecot staples nothing.
"
    .to_owned();
    if clients {
        text.push_str(
            "\
# Clients need a certificate; the CRL of every level must be there and not be over.
ssl_ca = <@DIR@/clients+crls.pem
ssl_verify_client_cert = yes
ssl_require_crl = yes
auth_ssl_require_client_cert = yes
",
        );
    }
    text
}

fn exim(clients: bool) -> String {
    let mut text = "\
# Include it in the main section, before the first \"begin\": .include @DIR@/settings.conf
tls_advertise_hosts = *
tls_certificate = @DIR@/tls.chain
tls_privatekey = @DIR@/tls.key
tls_ocsp_file = @DIR@/tls.ocsp
# Without TLS no mail and no password. If you have an acl_smtp_mail, begin it with
# \"deny !encrypted = *\" instead. (Exim 4.96 crashes over a rule here that has nothing to expand.)
acl_smtp_mail = \"${if def:tls_in_cipher{accept\\\\n}{deny\\\\n message = TLS is required\\\\n}}\"
auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}
"
    .to_owned();
    if clients {
        text.push_str(
            "\
# Clients need a certificate that is not in a CRL. To only look at it: tls_try_verify_hosts.
tls_verify_certificates = @DIR@/clients.pem
tls_crl = @DIR@/crls.pem
tls_verify_hosts = *
",
        );
    }
    text
}

fn haproxy(clients: bool) -> String {
    let clients =
        if clients { " ca-file @DIR@/clients.pem crl-file @DIR@/crls.pem verify required" } else { "" };
    format!(
        "\
# IMAP over TLS before a server without; the OCSP answer lies beside the certificate, in tls.pem.ocsp.
# Add it to haproxy.cfg and name your backend. HAProxy ends no STARTTLS.
frontend imaps
    mode tcp
    bind :993 ssl crt @DIR@/tls.pem ssl-min-ver TLSv1.2{clients}
    default_backend imap
"
    )
}

fn nginx(clients: bool) -> String {
    let mut text = "\
# Include it in a server of http: include @DIR@/settings.conf;
# In a server of mail leave the two lines of stapling out, which nginx does not have there, and add \"starttls only;\"
# unless the port is one of TLS from the first octet.
ssl_protocols TLSv1.2 TLSv1.3;
ssl_certificate @DIR@/tls.chain;
ssl_certificate_key @DIR@/tls.key;
ssl_stapling on;
ssl_stapling_file @DIR@/tls.ocsp;
"
    .to_owned();
    if clients {
        text.push_str(
            "\
# Clients need a certificate that is not in a CRL.
ssl_verify_client on;
ssl_verify_depth 4;
ssl_client_certificate @DIR@/clients.pem;
ssl_crl @DIR@/crls.pem;
",
        );
    }
    text
}

fn postfix(clients: bool) -> String {
    let mut text = "\
# Append it to main.cf.
smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
smtpd_tls_mandatory_protocols = >=TLSv1.2
smtpd_tls_cert_file = @DIR@/tls.chain
smtpd_tls_key_file = @DIR@/tls.key
# Postfix staples nothing.
"
    .to_owned();
    if clients {
        text.push_str(
            "\
# Clients need a certificate. Postfix looks at no CRL: so the certificate must also be one of those in clients.d that
# `refresh` found good. If you have smtpd_client_restrictions, begin yours with check_ccert_access and end it with reject.
# A client that is refused learns it when it names a recipient (554).
smtpd_tls_CAfile = @DIR@/clients.pem
smtpd_tls_ask_ccert = yes
smtpd_tls_req_ccert = yes
smtpd_tls_fingerprint_digest = sha256
smtpd_delay_reject = yes
smtpd_client_restrictions = check_ccert_access texthash:@DIR@/clients.map, reject
",
        );
    }
    text
}

const HEAD: &str = "#!/bin/sh\nset -eu\numask 022\ncd '@DIR@'\nreload=${RELOAD:-systemctl reload @UNIT@}\n";

/// CRLs as a server without CRLs needs them: once they are over, nobody is good any more, as elsewhere.
const ALLOW: &str = "\n\
# The fingerprints of the certificates in clients.d (one a file, NAME.pem) that are good by now.\n\
mkdir -p clients.d\n\
find clients.d -name '*.pem' -exec openssl verify -no-CApath -no-CAstore -CAfile clients.pem \\\n    \
    -CRLfile crls.pem -crl_check_all -purpose sslclient {} + 2>/dev/null |\n    \
    sed -n 's/: OK$//p' | sort | while IFS= read -r file; do\n        \
        print=$(openssl x509 -in \"$file\" -noout -fingerprint -sha256)\n        \
        printf '%s OK\\n' \"${print#*=}\"\n    \
    done >clients.new\n\
cmp -s clients.new clients.map || changed=yes\n\
mv clients.new clients.map\n";

fn fill(request: &MailServerRequest<'_>, text: &str) -> String {
    let server = request.server;
    text.replace("@DIR@", request.dir).replace("@UNIT@", server.unit()).replace("@GROUP@", server.group())
}

/// The program that brings CRLs and OCSP answers.
pub(super) fn refresh(request: &MailServerRequest<'_>, crls: &[(String, String)]) -> String {
    let mut text = HEAD.replacen("set -eu", "# Brings new CRLs and OCSP answers. Run it every hour, as root; it needs curl, openssl and ca.\nset -eu", 1);
    text.push_str("changed= failed=\n");
    if !crls.is_empty() {
        text.push_str(
            "\n\
# What was verified takes the place of the old; if anything fails, the old stays.\n\
: >crls.new\n\
crl() {\n    \
    curl -fsS --max-time 30 --max-filesize 100000000 -o crl.new \"$2\" &&\n        \
    ca --quiet crl verify crl.new --issuer \"$1\" >/dev/null &&\n        \
    openssl crl -inform DER -in crl.new >>crls.new &&\n        \
    rm crl.new\n\
}\n",
        );
        for (issuer, url) in crls {
            let _ = writeln!(text, "crl {issuer} '{}' || failed=yes", url.replace('\'', "'\\''"));
        }
        text.push_str(
            "[ -n \"$failed\" ] || {\n    \
    cmp -s crls.new crls.pem || changed=yes\n    \
    mv crls.new crls.pem\n\
}\n",
        );
        if !request.server.checks_crls() {
            text.push_str(ALLOW);
        }
        if request.server == MailServer::Dovecot {
            text.push_str("cat clients.pem crls.pem >both.new\nmv both.new clients+crls.pem\n");
        }
    }
    if request.server.staples() {
        let out = if request.server == MailServer::Haproxy { "tls.pem.ocsp" } else { "tls.ocsp" };
        let _ = write!(
            text,
            "\n\
# Status 3: the certificate is revoked, and the server shall say so.\n\
before=$(cksum {out} 2>/dev/null || true)\n\
status=0\n\
ca --quiet ocsp staple --cert tls.chain --out {out} >/dev/null || status=$?\n\
[ \"$status\" -eq 0 ] || [ \"$status\" -eq 3 ]\n\
[ \"$before\" = \"$(cksum {out})\" ] || changed=yes\n"
        );
    }
    text.push_str("\n[ -z \"$changed\" ] || [ -n \"${NO_RELOAD:-}\" ] || $reload\n[ -z \"$failed\" ]\n");
    fill(request, &text)
}

/// The program that takes a new certificate: the renewal hook.
pub(super) fn install(request: &MailServerRequest<'_>) -> String {
    let mut text = HEAD.replacen("cd '@DIR@'\n", "", 1).replacen(
        "set -eu",
        "# Installs a new certificate with its issuers and its key: install CHAIN KEY\n# Run it, as root, after every renewal.\nset -eu",
        1,
    );
    text.push_str(
        "\n\
chain=${1:?name the file with certificate and issuers} key=${2:?name the file with the key}\n\
if [ \"$(openssl x509 -in \"$chain\" -noout -pubkey)\" != \"$(openssl pkey -in \"$key\" -pubout)\" ]; then\n    \
    echo \"$0: the key is not that of the certificate; nothing was changed\" >&2\n    \
    exit 1\n\
fi\n\
openssl x509 -in \"$chain\" -noout -checkend 0 >/dev/null || {\n    \
    echo \"$0: the certificate is over; nothing was changed\" >&2\n    \
    exit 1\n\
}\n\
install -m 0644 \"$chain\" '@DIR@/tls.chain.new'\n\
install -m 0640 -g @GROUP@ \"$key\" '@DIR@/tls.key.new'\n\
cd '@DIR@'\n\
(umask 077 && cat tls.chain.new tls.key.new >tls.pem.new)\n\
for file in tls.chain tls.key tls.pem; do mv \"$file.new\" \"$file\"; done\n\
# The answer is of the old certificate.\n\
rm -f tls.ocsp tls.pem.ocsp\n\
NO_RELOAD=yes ./refresh\n\
$reload\n",
    );
    fill(request, &text)
}
