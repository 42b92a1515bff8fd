//! OpenLDAP's `slapd` with a directory of its own and a certificate of our authority.

use crate::home::Home;
use crate::server::{Server, free_port};
use crate::tool::{Outcome, Tool};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread;

/// The name at which the directory answers; its certificate has it.
pub const HOST: &str = "localhost";
/// The directory's suffix.
pub const SUFFIX: &str = "dc=example,dc=test";
/// Who may write everything.
pub const ADMIN: &str = "cn=admin,dc=example,dc=test";
/// The password of [`ADMIN`], also in the file `slapd-password`.
pub const PASSWORD: &str = "secret-of-slapd";

/// Attributes of Active Directory that people are found by, for a schema that lacks them.
const SCHEMA: &str = "\
attributetype ( 1.2.840.113556.1.2.210 NAME 'proxyAddresses' EQUALITY caseIgnoreMatch \
SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.2.840.113556.1.4.656 NAME 'userPrincipalName' EQUALITY caseIgnoreMatch \
SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.55555.1 NAME 'mailRecipientOfAD' SUP top AUXILIARY \
MAY ( proxyAddresses $ userPrincipalName ) )
";

/// A running directory; ended when dropped.
///
/// Files in the working directory: `slapd-root.crt` (what clients trust), `slapd-password`,
/// `slapd-client.chain` and `slapd-client.key` (for SASL EXTERNAL, as [`ADMIN`]).
#[derive(Debug)]
pub struct Slapd {
    server: Option<Server>,
    environment: Vec<String>,
    work: PathBuf,
    plain: u16,
    tls: u16,
}

impl Slapd {
    /// Issues certificates below the authority `root` of this home, and starts a directory that
    /// has the entry [`SUFFIX`] alone. `more` are further lines for the database in `slapd.conf`.
    pub fn start(home: &Home, more: &str) -> Self {
        Self::start_with(home, more, &[])
    }

    /// The same, with these variables of the environment, each `NAME=VALUE`.
    pub fn start_with(home: &Home, more: &str, environment: &[String]) -> Self {
        certificates(home);
        home.write_private("slapd-password", format!("{PASSWORD}\n"));
        fs::create_dir_all(home.path("slapd/db")).expect("make a directory");
        let at = home.work().display();
        let config = format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\n{SCHEMA}\
             modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {at}/slapd/pid\nargsfile {at}/slapd/args\n\
             TLSCACertificateFile {at}/slapd-ca.pem\nTLSCertificateFile {at}/slapd.chain\n\
             TLSCertificateKeyFile {at}/slapd.key\nTLSVerifyClient allow\n\
             authz-regexp \".*publisher@example.test.*\" \"{ADMIN}\"\n\
             database mdb\nmaxsize 1073741824\ndbnosync\nsuffix {SUFFIX}\nrootdn {ADMIN}\nrootpw {PASSWORD}\n\
             directory {at}/slapd/db\nindex objectClass,mail,proxyAddresses,userPrincipalName eq\n{more}\n"
        );
        home.write_private("slapd.conf", config);
        let mut slapd = Self {
            server: None,
            environment: environment.to_vec(),
            work: home.work().to_owned(),
            plain: free_port(),
            tls: free_port(),
        };
        slapd.begin();
        slapd.add(&format!(
            "dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n"
        ));
        slapd
    }

    /// Starts it again at the same ports, with what it holds.
    pub fn begin(&mut self) {
        let urls = format!("ldap://127.0.0.1:{} ldaps://127.0.0.1:{}", self.plain, self.tls);
        let conf = self.work.join("slapd.conf").display().to_string();
        // With a level of debugging it stays in the foreground.
        let slapd = ["slapd", "-d", "0", "-h", &urls, "-f", &conf];
        let arguments: Vec<&str> = self.environment.iter().map(String::as_str).chain(slapd).collect();
        let log = self.work.join("slapd.log");
        self.server = Some(Server::start("env", &arguments, &log, &[self.plain, self.tls]));
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.server.as_ref().expect("a running slapd").pid()
    }

    /// Ends it.
    pub fn end(&mut self) {
        self.server = None;
    }

    /// `ldaps://localhost:PORT`.
    pub fn ldaps(&self) -> String {
        format!("ldaps://{HOST}:{}", self.tls)
    }

    /// The port of LDAPS.
    pub fn tls_port(&self) -> u16 {
        self.tls
    }

    /// `ldap://localhost:PORT`, which has StartTLS.
    pub fn ldap(&self) -> String {
        format!("ldap://{HOST}:{}", self.plain)
    }

    /// `ldap://127.0.0.1:PORT`, for connections without TLS.
    pub fn loopback(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.plain)
    }

    /// Lines for a configuration file: URL, trust and login, indented by `indent`.
    pub fn config(&self, indent: &str) -> String {
        let at = self.work.display();
        [
            format!("url: {}", self.ldaps()),
            format!("ca_root: {at}/slapd-root.crt"),
            format!("bind_dn: {ADMIN}"),
            format!("password_file: {at}/slapd-password"),
        ]
        .map(|line| format!("{indent}{line}\n"))
        .concat()
    }

    /// One of the clients `ldapadd`, `ldapmodify` and `ldapsearch`, logged in.
    pub fn client(&self, program: &str) -> Tool {
        Tool::new(program).within(&self.work).args([
            "-x",
            "-H",
            &self.loopback(),
            "-D",
            ADMIN,
            "-w",
            PASSWORD,
        ])
    }

    /// Adds entries by `ldapadd`.
    #[track_caller]
    pub fn add(&self, ldif: &str) {
        self.client("ldapadd").input(ldif).ok();
    }

    /// What `ldapsearch` finds below the suffix, as LDIF with a line a value.
    #[track_caller]
    pub fn search(&self, filter: &str, attributes: &[&str]) -> Outcome {
        let tool = self.client("ldapsearch").args(["-LLL", "-o", "ldif-wrap=no", "-b", SUFFIX, filter]);
        tool.args(attributes).ok()
    }

    /// The values of an attribute of the entries that `ldapsearch` finds, as bytes.
    #[track_caller]
    pub fn values(&self, filter: &str, attribute: &str) -> Vec<Vec<u8>> {
        let found = self.search(filter, &[attribute]).text();
        let wanted = attribute.split(';').next().unwrap_or(attribute).to_lowercase();
        let mut values = Vec::new();
        for line in found.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            if name.split(';').next().unwrap_or(name).to_lowercase() != wanted {
                continue;
            }
            values.push(match value.strip_prefix(": ") {
                Some(encoded) => decode(encoded),
                None => value.trim_start().as_bytes().to_vec(),
            });
        }
        values
    }
}

pub(crate) fn decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).expect("base64 in LDIF")
}

/// An authority for the directory, and certificates of its server and of a client.
pub(crate) fn certificates(home: &Home) {
    home.ca("authority create directory --template tls-issuing-ca --key p256 --country DE --parent root")
        .args(["--common-name", "Example Directory CA", "--organization", "Example"])
        .words("--passphrase-file passphrase --parent-passphrase-file passphrase")
        .ok();
    home.ca("authority export root --format pem --out slapd-root.crt").ok();
    home.ca("authority export directory --format chain --out slapd-ca.pem").ok();
    for (name, words) in [
        ("slapd", format!("--template mail-server-tls --dns {HOST}")),
        ("slapd-client", "--template tls-client --email publisher@example.test".to_owned()),
    ] {
        home.ca(&format!("issue --authority directory {words} --key p256 --out {name}.crt"))
            .words(&format!("--out-key {name}.key --out-chain {name}.chain --passphrase-file passphrase"))
            .ok();
    }
}

/// A server in the place of a directory that says `answer` to every request of every client, and then nothing;
/// its URL.
pub fn parrot(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind a loopback port");
    let address = listener.local_addr().expect("the bound address");
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let answer = answer.clone();
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while client.read(&mut buffer).is_ok_and(|length| length > 0) {
                    let _ = client.write_all(&answer);
                }
            });
        }
    });
    format!("ldap://{address}")
}

/// Elements one in the other, `depth` of them.
pub fn nested(depth: usize) -> Vec<u8> {
    let mut heads = Vec::with_capacity(depth);
    let mut length = 0_u32;
    for _ in 0..depth {
        let [a, b, c, d] = length.to_be_bytes();
        heads.push([0x30, 0x84, a, b, c, d]);
        length += 6;
    }
    heads.into_iter().rev().flatten().collect()
}
