//! Following a ledger that nginx serves over HTTPS to those with a client certificate.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use ca_domain::ReasonCode;
use ca_service::fixture::client::eventually;
use ca_service::{Clock, SystemClock};
use ca_status::ocsp::{ErrorStatus, ViewState};

use common::Bench;

/// What docs/serve-ledger.md says, on one port of the loopback address.
const NGINX: &str = r#"
pid @DIR@/nginx.pid;
error_log @DIR@/error.log;
events {}
http {
    log_format test '$connection $status $uri';
    access_log @DIR@/access.log test;
    client_body_temp_path @DIR@/body;
    proxy_temp_path @DIR@/proxy;
    fastcgi_temp_path @DIR@/fastcgi;
    uwsgi_temp_path @DIR@/uwsgi;
    scgi_temp_path @DIR@/scgi;
    server {
        listen 127.0.0.1:@PORT@ ssl;
        ssl_certificate @DIR@/server.crt;
        ssl_certificate_key @DIR@/server.key;
        ssl_client_certificate @DIR@/ca.crt;
        ssl_verify_client on;
        root @HOME@;
        location = /ledger/checkpoint { add_header Cache-Control no-cache; }
        location /ledger/tile/ { add_header Cache-Control "public, max-age=31536000, immutable"; }
        location / { return 404; }
    }
}
"#;

struct Nginx {
    dir: PathBuf,
    port: u16,
    process: Option<Child>,
}

impl Nginx {
    /// Makes certificates and a configuration below `home`, where the ledger is.
    fn new(home: &Path) -> Self {
        let dir = home.join("nginx");
        fs::create_dir(&dir).unwrap();
        for name in ["ca", "other"] {
            openssl(&dir, name, &["-addext", "basicConstraints=critical,CA:TRUE"]);
        }
        let issuer = ["-CA", "ca.crt", "-CAkey", "ca.key"];
        let leaf = [&issuer[..], &["-addext", "basicConstraints=critical,CA:FALSE"]].concat();
        openssl(&dir, "server", &[&leaf[..], &["-addext", "subjectAltName=IP:127.0.0.1"]].concat());
        openssl(&dir, "client", &[&leaf[..], &["-addext", "extendedKeyUsage=clientAuth"]].concat());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = NGINX.replace("@DIR@", dir.to_str().unwrap()).replace("@HOME@", home.to_str().unwrap());
        fs::write(dir.join("nginx.conf"), text.replace("@PORT@", &port.to_string())).unwrap();
        let mut nginx = Self { dir, port, process: None };
        nginx.start();
        nginx
    }

    fn start(&mut self) {
        let spawn = || {
            Command::new("nginx")
                .args(["-g", "daemon off; master_process off;", "-e", "stderr", "-c"])
                .arg(self.dir.join("nginx.conf"))
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        };
        let mut child = spawn();
        eventually("nginx", || {
            // While it was down, the port may have been lent to a connection of somebody.
            if child.try_wait().unwrap().is_some() {
                child = spawn();
            }
            TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
        self.process = Some(child);
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// The setting `ledger` of a daemon that trusts `ca`, with a client certificate or none.
    fn setting(&self, ca: &str, client: bool) -> String {
        let dir = self.dir.display();
        let client = if client {
            format!(", client_certificate: {dir}/client.crt, client_key: {dir}/client.key")
        } else {
            String::new()
        };
        format!("{{url: 'https://127.0.0.1:{}/ledger/', ca_file: {dir}/{ca}.crt{client}}}", self.port)
    }

    /// The lines of the access log: connection, status, path.
    fn log(&self) -> Vec<(String, String, String)> {
        let text = fs::read_to_string(self.dir.join("access.log")).unwrap();
        let field = |line: &str, at: usize| line.split(' ').nth(at).unwrap_or_default().to_owned();
        text.lines().map(|line| (field(line, 0), field(line, 1), field(line, 2))).collect()
    }

    /// The status of a request by curl with the client certificate.
    fn curl(&self, path: &str) -> String {
        let output = Command::new("curl")
            .current_dir(&self.dir)
            .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", "ca.crt"])
            .args(["--cert", "client.crt", "--key", "client.key"])
            .arg(format!("https://127.0.0.1:{}{path}", self.port))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.stop();
    }
}

fn openssl(dir: &Path, name: &str, more: &[&str]) {
    let output = Command::new("openssl")
        .current_dir(dir)
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", &format!("/CN={name}"), "-keyout", &format!("{name}.key")])
        .args(["-out", &format!("{name}.crt")])
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn is_revoked(state: ViewState) -> bool {
    matches!(state, ViewState::Revoked { .. })
}

#[test]
fn a_ledger_behind_nginx_with_client_certificates() {
    let mut bench = Bench::at(SystemClock.now());
    let (alice, bob, carol) = (bench.issue(), bench.issue(), bench.issue());
    let (authority, now) = (bench.ca.id(), bench.now());
    bench.ledger.revoke(authority, bob, ReasonCode::KeyCompromise, now);
    let mut nginx = Nginx::new(bench.ledger.home());
    bench.ledger_at = nginx.setting("ca", true);
    bench.start("");
    assert_eq!(bench.state(&alice), ViewState::Good);
    assert!(is_revoked(bench.state(&bob)));
    assert_eq!(bench.health(), (200, "ok\n".to_owned()));

    // The private part of the ledger is not served.
    assert_eq!(nginx.curl("/ledger/checkpoint"), "200");
    assert_eq!(nginx.curl("/ledger/details/000"), "404");
    assert_eq!(nginx.curl("/ledger/tile/../details/000"), "404");

    // What changes is seen, also within one second, which is all that the server's
    // entity tags know.
    let dave = bench.issue();
    bench.wait_for_state(&dave, |state| state == ViewState::Good);
    bench.ledger.revoke(authority, alice, ReasonCode::KeyCompromise, now);
    bench.wait_for_state(&alice, is_revoked);
    // What has not changed for a while is not sent again, on one connection.
    let checkpoint = fs::File::options().append(true).open(bench.ledger.path().join("checkpoint")).unwrap();
    checkpoint.set_modified(SystemTime::now() - Duration::from_secs(120)).unwrap();
    let unchanged = eventually("a conditional request", || {
        let log = nginx.log();
        let lines: Vec<_> = log.into_iter().filter(|(_, status, _)| status == "304").collect();
        (lines.len() >= 2).then_some(lines)
    });
    assert!(unchanged.iter().all(|(_, _, path)| path == "/ledger/checkpoint"), "{unchanged:?}");
    assert_eq!(unchanged[0].0, unchanged[1].0, "{unchanged:?}");

    // The server goes: the last good state for a while, then none, then the new one.
    nginx.stop();
    eventually("the alarm", || (bench.health().0 == 503).then_some(()));
    assert!(bench.health().1.contains("the ledger cannot be read"), "{}", bench.health().1);
    assert_eq!(bench.state(&carol), ViewState::Good);
    assert!(is_revoked(bench.state(&alice)));
    bench.clock.advance(3_601);
    assert_eq!(bench.error(&carol), Some(ErrorStatus::TryLater));
    bench.ledger.revoke(authority, carol, ReasonCode::KeyCompromise, now);
    nginx.start();
    bench.wait_for_error(&carol, None);
    assert!(is_revoked(bench.state(&carol)), "never good by what was known before");
    eventually("health", || (bench.health().0 == 200).then_some(()));

    // Without a certificate, and from a server that somebody else certified.
    let refused = |nginx: &Nginx| nginx.log().iter().filter(|(_, status, _)| status == "400").count();
    assert_eq!(refused(&nginx), 0);
    let mut counts = Vec::new();
    for (ca, client) in [("ca", false), ("other", true)] {
        bench.ledger_at = nginx.setting(ca, client);
        bench.start("");
        assert_eq!(bench.error(&bob), Some(ErrorStatus::TryLater));
        assert!(bench.health().1.contains("the ledger cannot be read"), "{}", bench.health().1);
        bench.stop();
        // A server that is not believed gets no request at all.
        counts.push(refused(&nginx));
    }
    assert!(counts[0] > 0 && counts[1] == counts[0], "{counts:?}");
    check(&bench, &nginx);
}

/// `--check` reads the ledger too, and names a key that others may read.
fn check(bench: &Bench, nginx: &Nginx) {
    let run = |setting: String| {
        let path = bench.write("check.yaml", b"");
        let text = fs::read_to_string(bench.configure("")).unwrap();
        let first = text.lines().find(|line| line.starts_with("ledger: ")).unwrap().to_owned();
        fs::write(&path, text.replace(&first, &format!("ledger: {setting}"))).unwrap();
        let daemon = Command::new(env!("CARGO_BIN_EXE_ocsp-responder"));
        let output = { daemon }.arg("--check").arg("--config").arg(&path).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, text) = run(nginx.setting("ca", true));
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = run(nginx.setting("ca", false));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("client certificate"), "{text}");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(nginx.dir.join("client.key"), open).unwrap();
    let (code, text) = run(nginx.setting("ca", true));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("client.key"), "{text}");
}
