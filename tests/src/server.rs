//! Foreign servers: nginx, Apache, HAProxy, stunnel, Exim, Postfix, slapd.

use crate::daemon::wait_for;
use crate::home::Home;
use crate::tool::Tool;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to begin, to end, and to take something new.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A server in the foreground; ended when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    log: PathBuf,
}

/// A port that was free a moment ago: these servers cannot choose one themselves.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind a loopback port");
    listener.local_addr().expect("the bound address").port()
}

impl Server {
    /// Starts a program that stays in the foreground, its output in the file `log`,
    /// and waits until it listens on all of `ports`.
    pub fn start(program: &str, arguments: &[&str], log: &Path, ports: &[u16]) -> Self {
        let out = fs::File::create(log).expect("create a log file");
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a second descriptor"))
            .stderr(out)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("cannot start {program}: {error}; run: scripts/install-prerequisites test")
            });
        let mut server = Self { child, log: log.to_owned() };
        for port in ports {
            wait_for(program, LIMIT, || {
                if let Some(status) = server.child.try_wait().expect("wait for a server") {
                    panic!("{program} ended with {status}\n{}", server.log());
                }
                TcpStream::connect(("127.0.0.1", *port)).ok()
            });
        }
        server
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM first, so that it ends its own children.
        let _ = Tool::new("kill").arg("-TERM").arg(self.child.id().to_string()).run();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(5) {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Apache with these virtual hosts and a cache for staples, one process.
pub fn apache(home: &Home, name: &str, hosts: &str, ports: &[u16]) -> Server {
    let dir = home.path(name);
    fs::create_dir(&dir).expect("make a directory");
    let at = dir.display();
    let modules = ["mpm_event", "authz_core", "alias", "socache_shmcb", "ssl"]
        .map(|module| format!("LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so\n"));
    let config = format!(
        "ServerRoot {at}\nServerName {host}\nPidFile {at}/pid\nDefaultRuntimeDir {at}\nErrorLog {at}/error.log\n\
         LogLevel info\nUser nobody\nGroup nogroup\n{modules}\
         SSLStaplingCache shmcb:{at}/stapling(65536)\nSSLStaplingReturnResponderErrors off\n\
         RedirectMatch 204 .*\n{hosts}",
        host = crate::tls::HOST,
        modules = modules.concat(),
    );
    let path = home.write_private(&format!("{name}.conf"), config);
    let log = home.path(format!("{name}.log"));
    Server::start("apache2", &["-X", "-f", &path.display().to_string()], &log, ports)
}

/// A virtual host of Apache with the certificate and key of `name`.
pub fn apache_host(home: &Home, port: u16, name: &str, more: &str) -> String {
    let work = home.work().display();
    format!(
        "Listen 127.0.0.1:{port}\n<VirtualHost 127.0.0.1:{port}>\nSSLEngine on\n\
         SSLCertificateFile {work}/{name}.chain\nSSLCertificateKeyFile {work}/{name}.key\n{more}</VirtualHost>\n"
    )
}

/// nginx with these servers, one process.
pub fn nginx(home: &Home, name: &str, servers: &str, ports: &[u16]) -> Server {
    let dir = home.path(name);
    fs::create_dir(&dir).expect("make a directory");
    let at = dir.display();
    let config = format!(
        "daemon off; master_process off; pid {at}/pid; error_log stderr info;\nevents {{}}\n\
         http {{ access_log off; client_body_temp_path {at}/1; proxy_temp_path {at}/2;\n\
         fastcgi_temp_path {at}/3; uwsgi_temp_path {at}/4; scgi_temp_path {at}/5;\n{servers}}}\n"
    );
    let path = home.write_private(&format!("{name}.conf"), config);
    let arguments = ["-p", &at.to_string(), "-c", &path.display().to_string()];
    Server::start("nginx", &arguments, &home.path(format!("{name}.log")), ports)
}

/// A server of nginx with the certificate and key of `name`.
pub fn nginx_server(home: &Home, port: u16, name: &str, more: &str) -> String {
    let work = home.work().display();
    format!(
        "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {work}/{name}.chain; \
         ssl_certificate_key {work}/{name}.key; {more} location / {{ return 200 \"hello\\n\"; }} }}\n"
    )
}
