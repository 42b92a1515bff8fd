//! Servers that staple our answers: nginx, Apache, HAProxy and Exim, each with a
//! good and a revoked certificate. The clients verify what is stapled.

use chancery_tests::daemon::wait_for;
use chancery_tests::server::{LIMIT, apache, apache_host, free_port, nginx, nginx_server};
use chancery_tests::tls::{HOST, WATCHED};
use chancery_tests::{Server, Tls, Tool};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

#[test]
fn nginx_fetches_and_verifies_its_staple() {
    let tls = Tls::shared();
    tls.server("nginx-good");
    tls.server("nginx-bad");
    tls.revoke("nginx-bad");
    let (good, bad, plain) = (free_port(), free_port(), free_port());
    let work = tls.home().work().display();
    let stapling = format!("ssl_stapling on; ssl_stapling_verify on; ssl_trusted_certificate {work}/ca.pem;");
    let servers = nginx_server(tls.home(), good, "nginx-good", &stapling)
        + &nginx_server(tls.home(), bad, "nginx-bad", &stapling)
        + &nginx_server(tls.home(), plain, "nginx-good", "");
    let server = nginx(tls.home(), "nginx", &servers, &[good, bad, plain]);
    // It asks at the first handshake, and staples from a later one on.
    tls.wait_for_good("https", good);
    // A revoked answer is verified and not stapled: clients that want one go away.
    tls.curl("https", bad).ok();
    wait_for("nginx to learn of the revocation", LIMIT, || {
        let _ = tls.stapled("https", bad);
        server.log().contains("certificate status \"revoked\" in the OCSP response").then_some(())
    });
    tls.stapled("https", bad).fails(91, &["No OCSP response received"]);

    // GnuTLS verifies what is stapled; without a staple it asks the responder.
    gnutls(&tls, good).ok().says(&["- Status: The certificate is trusted.", "OCSP status request,"]);
    gnutls(&tls, plain).ok().says(&["*** OCSP: verified 2 certificate(s)."]);
    let outcome = gnutls(&tls, bad);
    assert_ne!(outcome.code, Some(0), "{}", outcome.transcript());
    outcome.says(&["revoked"]);
}

fn gnutls(tls: &Tls, port: u16) -> chancery_tests::Outcome {
    tls.home()
        .tool("gnutls-cli", "--ocsp --x509cafile root.crt 127.0.0.1")
        .args(["--port", &port.to_string(), "--sni-hostname", HOST, "--verify-hostname", HOST])
        .run()
}

#[test]
fn nginx_staples_our_file() {
    let tls = Tls::shared();
    tls.server("file");
    tls.staple("file").ok();
    let (port, work) = (free_port(), tls.home().work().display());
    let more = format!("ssl_stapling on; ssl_stapling_file {work}/file.pem.ocsp;");
    let servers = nginx_server(tls.home(), port, "file", &more);
    {
        let _server = nginx(tls.home(), "nginx-file", &servers, &[port]);
        tls.wait_for_good("https", port);
    }
    tls.revoke("file");
    tls.staple("file").run().fails(3, &["revoked", "keyCompromise"]);
    let again = free_port();
    let servers = nginx_server(tls.home(), again, "file", &more);
    let _server = nginx(tls.home(), "nginx-file-again", &servers, &[again]);
    tls.wait_for_revoked("https", again);
}

#[test]
fn apache_fetches_and_verifies_its_staple() {
    let tls = Tls::shared();
    tls.server("apache-good");
    tls.server("apache-bad");
    tls.revoke("apache-bad");
    let (good, bad) = (free_port(), free_port());
    let hosts = [(good, "apache-good"), (bad, "apache-bad")]
        .map(|(port, name)| apache_host(tls.home(), port, name, "SSLUseStapling on\n"));
    let _server = apache(tls.home(), "apache", &hosts.concat(), &[good, bad]);
    tls.wait_for_good("https", good);
    // It hands the revocation on.
    tls.wait_for_revoked("https", bad);
}

#[test]
fn haproxy_staples_our_file_and_takes_the_next() {
    let tls = Tls::shared();
    tls.server("haproxy");
    let first = tls.staple("haproxy").ok().json();
    assert_eq!((first["state"].as_str(), first["replaced"].as_bool()), (Some("good"), Some(true)));
    let (port, work) = (free_port(), tls.home().work().display());
    let config = format!(
        "global\n stats socket {work}/haproxy.sock level admin\n\
         defaults\n mode http\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n\
         frontend web\n bind 127.0.0.1:{port} ssl crt {work}/haproxy.pem\n \
         http-request return status 200 content-type text/plain string hello\n"
    );
    let config = tls.home().write_private("haproxy.cfg", config);
    let log = tls.home().path("haproxy.log");
    let _server = Server::start("haproxy", &["-db", "-f", &config.display().to_string()], &log, &[port]);
    tls.wait_for_good("https", port);

    tls.revoke("haproxy");
    // As docs/stapling.md has it, with Python in the place of socat.
    let told = format!(
        "{{ echo 'set ssl ocsp-response <<'; base64 \"$CHANGED_FILE\"; echo; }} | \
         python3 -c 'import socket,sys;s=socket.socket(socket.AF_UNIX);s.connect(\"{work}/haproxy.sock\");\
         s.sendall(sys.stdin.buffer.read());sys.exit(b\"updated\" not in s.recv(4096))'"
    );
    let outcome = tls.staple("haproxy").arg("--reload-command").arg(told).run();
    let outcome = outcome.fails(3, &["revoked"]);
    assert_eq!(outcome.json()["reloaded"].as_bool(), Some(true));
    tls.wait_for_revoked("https", port);
}

/// Exim's user and group.
fn exim_user() -> (u32, u32) {
    let id = |option: &str| {
        let text = Tool::new("id").words(option).arg("Debian-exim").ok().text();
        text.trim().parse().expect("a number")
    };
    (id("-u"), id("-g"))
}

/// Exim with a certificate and its staple, in a directory that its user may reach.
fn exim(tls: &Tls, name: &str, staple: &Path, port: u16) -> Server {
    let (user, group) = exim_user();
    let dir = tls.open(&format!("{name}.exim"));
    for sub in ["", "spool", "log"] {
        fs::create_dir(dir.join(sub)).expect("make a directory");
        chown(dir.join(sub), Some(user), Some(group)).expect("change an owner");
    }
    let copy = |ending: &str| -> PathBuf {
        let to = dir.join(format!("{name}{ending}"));
        fs::copy(tls.home().path(format!("{name}{ending}")), &to).expect("copy a file");
        chown(&to, None, Some(group)).expect("change a group");
        fs::set_permissions(&to, fs::Permissions::from_mode(0o640)).expect("set a mode");
        to
    };
    let (chain, key) = (copy(".chain"), copy(".key"));
    let config = format!(
        "primary_hostname = {HOST}\nspool_directory = {dir}/spool\nlog_file_path = {dir}/log/%slog\n\
         pid_file_path = {dir}/spool/pid\nlocal_interfaces = 127.0.0.1\ndaemon_smtp_ports = {port}\n\
         tls_advertise_hosts = *\ntls_certificate = {chain}\ntls_privatekey = {key}\n\
         tls_ocsp_file = {staple}\nbegin acl\nbegin routers\nbegin transports\n",
        dir = dir.display(),
        chain = chain.display(),
        key = key.display(),
        staple = staple.display(),
    );
    let path = dir.join("exim.conf");
    fs::write(&path, config).expect("write a file");
    let log = tls.home().path(format!("{name}.exim.log"));
    Server::start("/usr/sbin/exim4", &["-C", &path.display().to_string(), "-bdf"], &log, &[port])
}

/// OpenSSL verifies what is in the file.
fn says_revoked(tls: &Tls, name: &str, staple: &Path) {
    tls.home()
        .tool("openssl", "ocsp -issuer tls.crt -CAfile root.crt -verify_other tls.crt -respin")
        .arg(staple)
        .args(["-cert", &format!("{name}.crt")])
        .ok()
        .says(&["Response verify OK", &format!("{name}.crt: revoked")]);
}

#[test]
fn exim_staples_our_file_and_takes_the_next() {
    let tls = Tls::shared();
    tls.server("exim");
    let staple = tls.open("exim.ocsp");
    let refresh = || tls.staple("exim").arg("--out").arg(&staple).run();
    refresh().ok();
    let port = free_port();
    let _server = exim(&tls, "exim", &staple, port);
    tls.wait_for_good("smtp", port);
    tls.revoke("exim");
    refresh().fails(3, &["revoked"]);
    says_revoked(&tls, "exim", &staple);
    // Exim with GnuTLS speaks no TLS at all with a revoked answer.
    tls.wait_for_refusal(port);
}

#[test]
fn exim_staples_the_file_that_the_responder_keeps() {
    let tls = Tls::shared();
    tls.server(WATCHED);
    let staple = tls.open(&format!("{WATCHED}.ocsp"));
    wait_for("the first staple", LIMIT, || staple.exists().then_some(()));
    let port = free_port();
    let _server = exim(&tls, WATCHED, &staple, port);
    tls.wait_for_good("smtp", port);
    // From `ca revoke` to what a mail client sees, without another hand.
    tls.revoke(WATCHED);
    tls.wait_for_refusal(port);
    says_revoked(&tls, WATCHED, &staple);
}

#[test]
fn a_staple_is_only_replaced_by_a_better_one() {
    let tls = Tls::shared();
    tls.server("plain");
    let path = tls.home().path("plain.pem.ocsp");
    let first = tls.staple("plain").ok().json();
    assert_eq!(first["replaced"].as_bool(), Some(true));
    assert_eq!(tls.staple("plain").ok().json()["replaced"].as_bool(), Some(false));
    assert_eq!(tls.staple("plain").words("--check --min-left 23h").ok().json()["state"], "good");
    tls.staple("plain").words("--check --min-left 25h").run().fails(1, &["ends in"]);
    let good = fs::read(&path).expect("read the staple");

    // Nobody, no OCSP at all, an authority that is asked about others.
    for (url, why) in [
        (format!("http://127.0.0.1:{}/", free_port()), "gave no answer"),
        (format!("http://127.0.0.1:{}/healthz", tls.responder().port()), "405"),
        ("https://ocsp.example.test/".to_owned(), "need no TLS"),
    ] {
        tls.staple("plain")
            .args(["--url", &url])
            .run()
            .fails(1, &[why, "is good until", "nothing was changed"]);
        assert_eq!(fs::read(&path).expect("read the staple"), good, "{url}");
    }
    // Another server's answer is none for this certificate.
    tls.server("other");
    tls.staple("other").ok();
    let swapped = tls.staple("other").arg("--out").arg(&path);
    assert_eq!(
        swapped.clone().words("--check").run().fails(1, &["not about this certificate"]).code,
        Some(1)
    );

    // A reload that failed is made up for.
    fs::remove_file(&path).expect("remove the staple");
    tls.staple("plain").args(["--reload-command", "exit 7"]).run().fails(1, &["reload command failed"]);
    let later = tls.staple("plain").args(["--reload-command", "touch \"$CHANGED_FILE.told\""]).ok().json();
    assert_eq!((later["replaced"].as_bool(), later["reloaded"].as_bool()), (Some(false), Some(true)));
    assert!(tls.home().path("plain.pem.ocsp.told").exists());

    // Without its issuer nothing can be verified.
    tls.home().ca("ocsp staple --cert plain.crt").run().fails(4, &["issuer", "--issuer"]);
    tls.home().ca("ocsp staple --cert plain.crt --issuer tls.crt --out plain.ocsp").ok();
}
