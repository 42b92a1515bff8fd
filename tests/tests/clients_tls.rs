//! Servers that ask our responder whether a client's certificate is revoked:
//! nginx, Apache and stunnel, each with a good and a revoked one.

use chancery_tests::server::{apache, apache_host, free_port, nginx, nginx_server};
use chancery_tests::tls::HOST;
use chancery_tests::{Outcome, Server, Tls};

/// Issues a certificate for the server and for two clients.
fn people(tls: &Tls, server: &str) -> [String; 2] {
    let [good, bad] = ["alice", "mallory"].map(|name| format!("{name}-{server}"));
    tls.server(server);
    tls.client(&good);
    tls.client(&bad);
    [good, bad]
}

#[test]
fn nginx_asks_about_clients() {
    let tls = Tls::shared();
    let [good, bad] = people(&tls, "nginx");
    let (port, work) = (free_port(), tls.home().work().display());
    let more = format!(
        "ssl_verify_client on; ssl_client_certificate {work}/ca.pem; ssl_verify_depth 3; \
         ssl_ocsp on; ssl_ocsp_cache off;"
    );
    let servers = nginx_server(tls.home(), port, "nginx", &more);
    let _server = nginx(tls.home(), "nginx.d", &servers, &[port]);
    tls.as_client(port, &good).ok().says(&["hello"]);
    tls.as_client(port, &bad).ok().says(&["hello"]);
    tls.revoke(&bad);
    tls.as_client(port, &bad).fails(22, &["400"]);
    tls.as_client(port, &good).ok().says(&["hello"]);
    tls.curl("https", port).arg("--fail").run().fails(22, &["400"]);
}

#[test]
fn apache_asks_about_clients() {
    let tls = Tls::shared();
    let [good, bad] = people(&tls, "apache");
    let (port, work) = (free_port(), tls.home().work().display());
    // Apache sends a nonce and checks it.
    let more = format!(
        "SSLCACertificateFile {work}/ca.pem\nSSLVerifyClient require\nSSLVerifyDepth 3\n\
         SSLOCSPEnable on\nSSLOCSPUseRequestNonce on\n"
    );
    let hosts = apache_host(tls.home(), port, "apache", &more);
    let server = apache(tls.home(), "apache.d", &hosts, &[port]);
    tls.as_client(port, &good).ok();
    tls.as_client(port, &bad).ok();
    tls.revoke(&bad);
    let refused = tls.as_client(port, &bad);
    assert_ne!(refused.code, Some(0), "{}\n{}", refused.transcript(), server.log());
    refused.says(&["alert"]);
    tls.as_client(port, &good).ok();
}

#[test]
fn stunnel_asks_about_clients() {
    let tls = Tls::shared();
    let [good, bad] = people(&tls, "stunnel");
    let (port, work) = (free_port(), tls.home().work().display());
    let config = format!(
        "foreground = yes\npid =\ndebug = info\nsyslog = no\n[mail]\naccept = 127.0.0.1:{port}\n\
         cert = {work}/stunnel.chain\nkey = {work}/stunnel.key\nCAfile = {work}/ca.pem\nverifyChain = yes\n\
         OCSPaia = yes\nexec = /bin/echo\nexecArgs = echo hello from stunnel\n"
    );
    let config = tls.home().write_private("stunnel.conf", config);
    let log = tls.home().path("stunnel.log");
    let server = Server::start("stunnel4", &[&config.display().to_string()], &log, &[port]);
    let greeted = |name: &str| greeting(&tls, port, name);
    greeted(&good).says(&["hello from stunnel", "Verification: OK"]);
    greeted(&bad).says(&["hello from stunnel"]);
    tls.revoke(&bad);
    greeted(&bad).never_says(&["hello from stunnel"]).says(&["alert"]);
    greeted(&good).says(&["hello from stunnel"]);
    assert!(server.log().contains("OCSP: Certificate revoked"), "{}", server.log());
}

/// What a client with this certificate reads, after it has verified the server.
fn greeting(tls: &Tls, port: u16, name: &str) -> Outcome {
    tls.home()
        .tool("openssl", "s_client -ign_eof -CAfile root.crt -verify_return_error")
        .args(["-connect", &format!("127.0.0.1:{port}"), "-servername", HOST, "-verify_hostname", HOST])
        .args(["-cert", &format!("{name}.crt"), "-key", &format!("{name}.key")])
        .run()
}
