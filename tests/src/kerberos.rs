//! Kerberos: a key distribution centre of MIT, and programs that use tickets.

use crate::home::Home;
use crate::server::{Server, free_port};
use crate::tool::{Tool, build_directory};
use std::fs;
use std::path::{Path, PathBuf};

/// The realm.
pub const REALM: &str = "EXAMPLE.TEST";

/// One of our own programs as `scripts/build-gssapi` builds it.
pub fn ours(name: &str) -> Tool {
    let program = build_directory().join(format!("{name}-gssapi"));
    assert!(program.is_file(), "{} is not built; run: scripts/build-gssapi", program.display());
    Tool::new(program)
}

/// A client's side of Kerberos: settings, and a place for tickets.
#[derive(Debug)]
pub struct Kerberos {
    settings: PathBuf,
    tickets: PathBuf,
    no_keytab: PathBuf,
}

impl Kerberos {
    /// Settings for a key distribution centre at this address, with or without a port.
    pub fn new(home: &Home, kdc: &str) -> Self {
        // The names of hosts are taken as they are.
        let settings = format!(
            "[libdefaults]\ndefault_realm = {REALM}\ndns_lookup_kdc = false\ndns_lookup_realm = false\n\
             dns_canonicalize_hostname = false\nrdns = false\nqualify_shortname = \"\"\nudp_preference_limit = 1\n\
             [realms]\n{REALM} = {{\nkdc = {kdc}\n}}\n[domain_realm]\nlocalhost = {REALM}\n"
        );
        let settings = home.write_private("krb5.conf", settings);
        Self { settings, tickets: home.path("tickets"), no_keytab: home.path("no-keytab") }
    }

    /// A program that knows the settings and the place for tickets, but no keytab.
    pub fn near(&self, tool: Tool) -> Tool {
        tool.env("KRB5_CONFIG", &self.settings)
            .env("KRB5CCNAME", format!("FILE:{}", self.tickets.display()))
            .env("KRB5_CLIENT_KTNAME", &self.no_keytab)
    }

    /// The same with this keytab, and no place for tickets but memory.
    pub fn near_with(&self, tool: Tool, keytab: &Path) -> Tool {
        self.near(tool).env("KRB5CCNAME", "MEMORY:ca").env("KRB5_CLIENT_KTNAME", keytab)
    }

    /// `ca` with Kerberos, for this home.
    pub fn ca(&self, home: &Home, words: &str) -> Tool {
        self.near(ours("ca")).within(home.work()).arg("--home").arg(home.dir()).words(words)
    }
}

/// A running key distribution centre; ended when dropped.
#[derive(Debug)]
pub struct Kdc {
    _server: Server,
    kerberos: Kerberos,
    profile: PathBuf,
}

impl Kdc {
    /// Starts one that knows `principals`; the keys of each are in the file `NAME.keytab` of the
    /// working directory, with `-` for each `/`.
    pub fn start(home: &Home, principals: &[&str]) -> Self {
        let port = free_port();
        let kerberos = Kerberos::new(home, &format!("127.0.0.1:{port}"));
        let dir = home.path("kdc");
        fs::create_dir(&dir).expect("make a directory");
        let at = dir.display();
        let profile = home.write_private(
            "kdc.conf",
            format!(
                "[kdcdefaults]\nkdc_listen = 127.0.0.1:{port}\nkdc_tcp_listen = 127.0.0.1:{port}\n[realms]\n\
                 {REALM} = {{\ndatabase_name = {at}/principal\nkey_stash_file = {at}/stash\n}}\n"
            ),
        );
        let tool = |name: &str| {
            Tool::new(name).env("KRB5_CONFIG", &kerberos.settings).env("KRB5_KDC_PROFILE", &profile)
        };
        tool("kdb5_util").words("create -s -P master-of-the-realm -r").arg(REALM).ok();
        for principal in principals {
            let keytab = home.path(format!("{}.keytab", principal.replace('/', "-")));
            tool("kadmin.local").args(["-q", &format!("addprinc -randkey {principal}")]).ok();
            tool("kadmin.local").args(["-q", &format!("ktadd -k {} {principal}", keytab.display())]).ok();
        }
        let environment = [
            format!("KRB5_CONFIG={}", kerberos.settings.display()),
            format!("KRB5_KDC_PROFILE={}", profile.display()),
        ];
        let arguments = [&environment[0], &environment[1], "krb5kdc", "-n"];
        let server = Server::start("env", &arguments, &home.path("kdc.log"), &[port]);
        Self { _server: server, kerberos, profile }
    }

    /// Forgets a principal.
    pub fn forget(&self, principal: &str) {
        let tool = Tool::new("kadmin.local").env("KRB5_CONFIG", &self.kerberos.settings);
        let tool = tool.env("KRB5_KDC_PROFILE", &self.profile);
        tool.args(["-q", &format!("delprinc -force {principal}")]).ok();
    }

    /// The settings of its clients.
    pub fn kerberos(&self) -> &Kerberos {
        &self.kerberos
    }

    /// The settings of its servers, as variables of the environment: with the keys of `principal`.
    pub fn serving(&self, home: &Home, principal: &str) -> [String; 2] {
        let keytab = home.path(format!("{}.keytab", principal.replace('/', "-")));
        [
            format!("KRB5_CONFIG={}", self.kerberos.settings.display()),
            format!("KRB5_KTNAME={}", keytab.display()),
        ]
    }
}
