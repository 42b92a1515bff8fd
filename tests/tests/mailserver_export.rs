//! `ca export mailserver`: servers that are started from what it writes. TLS is forced, a revoked client's
//! certificate is refused, and the answer that is stapled is verified.

use chancery_tests::daemon::wait_for;
use chancery_tests::postfix::{DOMAIN, postfix};
use chancery_tests::server::{LIMIT, free_port, nginx};
use chancery_tests::tls::HOST;
use chancery_tests::tool::build_directory;
use chancery_tests::{Daemon, Outcome, Pki, Server, Tool};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Authorities `root` and `tls`, responder and publisher, a server's certificate and three clients', that of mallory revoked.
fn suite() -> (Pki, Daemon) {
    let mut pki = Pki::without_daemons("p256");
    let home = &pki.home;
    home.ca("authority create tls --template tls-issuing-ca --key p256 --country DE --parent root")
        .args(["--common-name", "Example TLS CA", "--organization", "Example"])
        .words("--passphrase-file passphrase --parent-passphrase-file passphrase")
        .ok();
    home.ca("ocsp-signer issue --authority tls --out signers --passphrase-file passphrase").ok();
    for (name, words) in [
        ("server", format!("--template mail-server-tls --dns {HOST}")),
        ("alice", "--template tls-client --email alice@example.test".to_owned()),
        ("carol", "--template tls-client --email carol@example.test".to_owned()),
        ("mallory", "--template tls-client --email mallory@example.test".to_owned()),
    ] {
        home.ca(&format!("issue --authority tls {words} --key p256 --out {name}.crt"))
            .words(&format!("--out-key {name}.key --out-chain {name}.chain --passphrase-file passphrase"))
            .ok();
    }
    home.ca("revoke --email mallory@example.test --reason keyCompromise --yes").ok();
    let at = home.work().display();
    let more =
        format!("  - certificate: {at}/home/authorities/tls/certificate.pem\n    signer: {at}/signers/tls\n");
    let authority = |name: &str| {
        format!(
            "  - name: {name}\n    certificate: {at}/home/authorities/{name}/certificate.pem\n    \
             chain: {at}/home/authorities/{name}/chain.pem\n    mode: sign\n    \
             key: {at}/home/authorities/{name}/key.pem\n    passphrase_file: {at}/passphrase\n    validity: 7d\n    \
             interval: 24h\n    after_revocation: 0s\n"
        )
    };
    let config = format!(
        "listen: 127.0.0.1:0\nledger: {at}/home/ledger\nledger_vkey: \"{}\"\ndirectory: {at}/published\n\
         authorities:\n{}{}",
        home.ledger_vkey(),
        authority("root"),
        authority("tls"),
    );
    let config = home.write_private("publisher.yaml", config);
    let publisher = Daemon::start("crl-publisher", &config);
    pki.publisher_gate.forward_to(publisher.port());
    for name in ["root", "tls"] {
        let url = format!("{}/crl/{name}.crl", pki.publisher_gate.url());
        let there = || Tool::new("curl").words("-sSf -o /dev/null").arg(&url).run().code == Some(0);
        wait_for("the first CRL", LIMIT, || there().then_some(()));
    }
    pki.start_responder(&more);
    (pki, publisher)
}

/// The files for a server in a directory that its user may reach, with certificate, CRLs and answer in place.
fn export(pki: &Pki, open: &Path, server: &str) -> PathBuf {
    let dir = open.join(server);
    let out = dir.display().to_string();
    pki.home
        .ca(&format!("export mailserver --for {server} --clients tls"))
        .args(["--dir", &out, "--out", &out])
        .ok();
    // The hook: it takes the new certificate, and brings CRLs and the answer.
    let path = format!("{}:{}", build_directory().display(), std::env::var("PATH").expect("a path"));
    let install = |chain: &str, key: &str| {
        Tool::new(dir.join("install"))
            .within(pki.home.work())
            .args([chain, key])
            .env("PATH", &path)
            .env("RELOAD", "touch reloaded")
    };
    install("server.chain", "alice.key").run().fails(1, &["not that of the certificate"]);
    assert!(!dir.join("tls.chain").exists());
    install("server.chain", "server.key").ok();
    assert!(dir.join("reloaded").exists());
    let mode = |name: &str| fs::metadata(dir.join(name)).expect("a file").permissions().mode() & 0o777;
    assert_eq!((mode("tls.key"), mode("tls.pem"), mode("tls.chain")), (0o640, 0o600, 0o644));
    // With nothing new the server is not disturbed.
    fs::remove_file(dir.join("reloaded")).expect("remove a file");
    let refresh = Tool::new(dir.join("refresh")).env("PATH", &path).env("RELOAD", "touch reloaded");
    refresh.ok();
    assert!(!dir.join("reloaded").exists(), "{server}");
    dir
}

/// curl with a client's certificate, the staple verified if the server has one.
fn curl(pki: &Pki, url: &str, port: u16, client: &str, staple: bool) -> Outcome {
    let tool = pki
        .home
        .tool("curl", "-sS --noproxy * --cacert root.crt --max-time 20 --fail --resolve")
        .arg(format!("{HOST}:{port}:127.0.0.1"))
        .args(["--cert", &format!("{client}.chain"), "--key", &format!("{client}.key")])
        .words(if staple { "--cert-status" } else { "" });
    let tool = if url.starts_with("smtp") { tool.words("--ssl-reqd -X NOOP") } else { tool };
    let tool = if url.starts_with("imap") { tool.words("-X NOOP -u alice:secret") } else { tool };
    tool.arg(url.replace("PORT", &port.to_string())).run()
}

fn good_and_revoked(pki: &Pki, url: &str, port: u16, staple: bool) {
    let url = url.replace("HOST", HOST);
    curl(pki, &url, port, "alice", staple).ok();
    let refused = curl(pki, &url, port, "mallory", staple);
    assert_ne!(refused.code, Some(0), "{}", refused.transcript());
    // Not because of the server's certificate (60) or its staple (91).
    assert!(!matches!(refused.code, Some(60 | 91)), "{}", refused.transcript());
}

/// The end of a message's way: accepted, or refused at the recipient.
fn send(pki: &Pki, port: u16, client: &str) -> Outcome {
    let tool =
        pki.home.tool("curl", "-sS -v --noproxy * --cacert root.crt --max-time 20 --ssl-reqd --resolve");
    let tool = tool.arg(format!("{HOST}:{port}:127.0.0.1")).args(["--cert", &format!("{client}.chain")]);
    let tool = tool.args(["--key", &format!("{client}.key")]).words("--mail-from a@x.test --mail-rcpt");
    tool.arg(format!("b@{DOMAIN}")).args(["-T", "root.crt", &format!("smtp://{HOST}:{port}/")]).run()
}

/// Postfix looks at no CRL: it goes by the list that `refresh` makes of what the CRLs leave.
fn by_list(pki: &Pki, open: &Path) {
    let home = &pki.home;
    let dir = export(pki, open, "postfix");
    let listed = || fs::read_to_string(dir.join("clients.map")).expect("the list").lines().count();
    let known = || fs::read_dir(dir.join("clients.d")).expect("a directory").count();
    // alice, carol and the server, which may be a client, too; not the revoked one.
    assert_eq!((known(), listed()), (3, 3));
    // What is brought by hand is judged, too.
    fs::copy(home.path("mallory.crt"), dir.join("clients.d/mallory.pem")).expect("copy a file");
    let port = free_port();
    let settings = fs::read_to_string(dir.join("settings.conf")).expect("settings");
    let server = postfix(&dir, port, &settings);
    let path = format!("{}:{}", build_directory().display(), std::env::var("PATH").expect("a path"));
    let refresh = || {
        Tool::new(dir.join("refresh")).env("PATH", &path).env("RELOAD", format!("kill -HUP {}", server.pid()))
    };
    // A process of the server that began before ends after its client.
    let refused = |client: &str| {
        let outcome =
            wait_for("a refusal", LIMIT, || Some(send(pki, port, client)).filter(|one| one.code != Some(0)));
        outcome.says(&["554 5.7.1", "Client host rejected: Access denied"]);
    };
    refresh().ok();
    assert_eq!((known(), listed()), (4, 3));
    send(pki, port, "alice").ok();
    send(pki, port, "carol").ok();
    refused("mallory");

    // Revoked while the server runs.
    home.ca("revoke --email carol@example.test --reason keyCompromise --yes").ok();
    wait_for("a list without carol", LIMIT, || {
        refresh().ok();
        (listed() == 2).then_some(())
    });
    refused("carol");
    send(pki, port, "alice").ok();

    // TLS is forced, and a client without certificate does not come in.
    let plain =
        home.tool("curl", "-sS -v --noproxy * --max-time 20 -T root.crt --mail-from a@x.test --mail-rcpt");
    let plain = plain.args([&format!("b@{DOMAIN}"), &format!("smtp://127.0.0.1:{port}/")]).run();
    assert_ne!(plain.says(&["530 5.7.0 Must issue a STARTTLS command first"]).code, Some(0));
    let nobody =
        home.tool("curl", "-sS --noproxy * --cacert root.crt --max-time 20 --ssl-reqd -X NOOP --resolve");
    let nobody = nobody.args([&format!("{HOST}:{port}:127.0.0.1"), &format!("smtp://{HOST}:{port}/")]).run();
    assert_ne!(nobody.code, Some(0), "{}", nobody.transcript());

    // When the CRLs are over and no new ones come, nobody is good, as with other servers.
    refresh().under(Tool::new("faketime").words("-f +8d")).run().fails(1, &["crl"]);
    assert_eq!(listed(), 0);
    refused("alice");
    refresh().ok();
    assert_eq!(listed(), 2);
    drop(server);
}

fn number(option: &str, user: &str) -> u32 {
    Tool::new("id").words(option).arg(user).ok().text().trim().parse().expect("a number")
}

#[test]
fn servers_from_what_was_exported() {
    let (pki, _publisher) = suite();
    let home = &pki.home;
    let open = tempfile::TempDir::with_prefix("chancery-mail-").expect("a temporary directory");
    fs::set_permissions(open.path(), fs::Permissions::from_mode(0o755)).expect("set a mode");
    let settings = |dir: &Path| fs::read_to_string(dir.join("settings.conf")).expect("settings");

    // nginx.
    let dir = export(&pki, open.path(), "nginx");
    let port = free_port();
    let servers = format!(
        "server {{ listen 127.0.0.1:{port} ssl; include {}/settings.conf; location / {{ return 200 hello; }} }}\n",
        dir.display()
    );
    let server = nginx(home, "nginx.d", &servers, &[port]);
    good_and_revoked(&pki, "https://HOST:PORT/", port, true);
    drop(server);

    // HAProxy, in front of a server of IMAP without TLS: here its own greeting is enough.
    let dir = export(&pki, open.path(), "haproxy");
    let (port, plain) = (free_port(), free_port());
    let config = format!(
        "defaults\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n{}\n\
         backend imap\n mode tcp\n server one 127.0.0.1:{plain}\n\
         frontend web\n mode http\n bind 127.0.0.1:{plain}\n http-request return status 200 content-type text/plain string hello\n",
        settings(&dir).replace("bind :993", &format!("bind 127.0.0.1:{port}")),
    );
    let config = home.write_private("haproxy.cfg", config).display().to_string();
    let server = Server::start("haproxy", &["-db", "-f", &config], &home.path("haproxy.log"), &[port, plain]);
    good_and_revoked(&pki, "https://HOST:PORT/", port, true);
    drop(server);

    // Exim.
    let dir = export(&pki, open.path(), "exim");
    let (user, group) = (number("-u", "Debian-exim"), number("-g", "Debian-exim"));
    for sub in ["spool", "log"] {
        fs::create_dir(dir.join(sub)).expect("make a directory");
        chown(dir.join(sub), Some(user), Some(group)).expect("change an owner");
    }
    let port = free_port();
    let at = dir.display();
    let config = format!(
        "primary_hostname = {HOST}\nspool_directory = {at}/spool\nlog_file_path = {at}/log/%slog\n\
         pid_file_path = {at}/spool/pid\nlocal_interfaces = 127.0.0.1\ndaemon_smtp_ports = {port}\n\
         .include {at}/settings.conf\nbegin acl\nbegin routers\nbegin transports\n"
    );
    let path = dir.join("exim.conf");
    fs::write(&path, config).expect("write a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set a mode");
    let arguments = ["-C", &path.display().to_string(), "-bdf"];
    let server = Server::start("exim4", &arguments, &home.path("exim.log"), &[port]);
    good_and_revoked(&pki, "smtp://HOST:PORT/", port, true);
    let plain = home.tool("curl", "-sS -v --noproxy * --max-time 20 --mail-from a@x.test");
    let plain =
        plain.words("--mail-rcpt b@x.test -T root.crt").arg(format!("smtp://127.0.0.1:{port}/")).run();
    assert_ne!(plain.says(&["550 TLS is required"]).code, Some(0));
    drop(server);

    // Dovecot.
    let dir = export(&pki, open.path(), "dovecot");
    let port = free_port();
    let at = dir.display();
    let config = format!(
        "base_dir = {at}/run\nstate_dir = {at}/run\nlog_path = {at}/log\nprotocols = imap\nlisten = 127.0.0.1\n\
         mail_location = maildir:{at}/mail/%u\nmail_uid = mail\nmail_gid = mail\nfirst_valid_uid = 1\n\
         service imap-login {{\n inet_listener imap {{\n port = 0\n }}\n inet_listener imaps {{\n port = {port}\n ssl = yes\n }}\n chroot =\n}}\n\
         passdb {{\n driver = static\n args = nopassword=y\n}}\n\
         userdb {{\n driver = static\n args = uid=mail gid=mail home={at}/mail/%u\n}}\n\
         !include {at}/settings.conf\n"
    );
    fs::create_dir(dir.join("mail")).expect("make a directory");
    chown(dir.join("mail"), Some(number("-u", "mail")), Some(number("-g", "mail"))).expect("change an owner");
    let path = dir.join("dovecot.conf");
    fs::write(&path, config).expect("write a file");
    let arguments = ["-F", "-c", &path.display().to_string()];
    let server = Server::start("dovecot", &arguments, &home.path("dovecot.log"), &[port]);
    good_and_revoked(&pki, "imaps://HOST:PORT/", port, false);
    drop(server);

    by_list(&pki, open.path());
    home.ca("export mailserver --for postfix --clients tls")
        .ok()
        .says(&["smtpd_tls_security_level = encrypt"]);
    home.ca("export mailserver --for exim --dir").arg("/etc/a b").run().fails(2, &["absolute path"]);
}
