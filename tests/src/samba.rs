//! Samba as a domain controller of Active Directory, in a network of its own: it listens at
//! fixed ports.

use crate::daemon::wait_for;
use crate::home::Home;
use crate::kerberos::Kerberos;
use crate::server::{LIMIT, Server};
use crate::slapd::{HOST, certificates, decode};
use crate::tool::Tool;
use std::path::PathBuf;
use std::time::Instant;

/// The domain.
pub const DOMAIN: &str = "DC=example,DC=test";
/// Who may write everything.
pub const ADMIN: &str = "Administrator@example.test";
/// The same for Kerberos.
pub const ADMIN_PRINCIPAL: &str = "Administrator@EXAMPLE.TEST";
/// The password of [`ADMIN`], also in the file `samba-password`.
const PASSWORD: &str = "Passw0rd-of-samba";

/// A running domain controller; ended when dropped. `slapd-root.crt` in the working directory
/// is what clients trust.
#[derive(Debug)]
pub struct Samba {
    // None only while it is started again.
    server: Option<Server>,
    work: PathBuf,
}

impl Samba {
    /// Issues a certificate below the authority `root` of this home, and starts a new domain.
    pub fn start(home: &Home) -> Self {
        certificates(home);
        home.write_private("samba-password", format!("{PASSWORD}\n"));
        let at = home.path("dc").display().to_string();
        Tool::new("samba-tool")
            .words(
                "domain provision --realm=EXAMPLE.TEST --domain=EXAMPLE --server-role=dc --dns-backend=NONE",
            )
            .words("--host-name=dc1 --host-ip=127.0.0.1 --option=interfaces=lo")
            .arg("--option=bind interfaces only=yes")
            .args([format!("--adminpass={PASSWORD}"), format!("--targetdir={at}")])
            .ok();
        let mut samba = Self { server: None, work: home.work().to_owned() };
        samba.begin(&[]);
        samba
    }

    /// Starts it again, so that it takes tickets inside TLS: as it is installed, 4.17 does not.
    pub fn take_tickets(&mut self) {
        self.begin(&["ldap server require strong auth=allow_sasl_over_tls"]);
    }

    /// Starts it, again if it runs, with what it holds and with these further settings.
    fn begin(&mut self, more: &[&str]) {
        self.server = None;
        let (work, dc) = (self.work.display(), self.work.join("dc"));
        let at = dc.display();
        let options = [
            "server services=ldap kdc".to_owned(),
            "server role check:inhibit=yes".to_owned(),
            format!("pid directory={at}"),
            format!("ncalrpc dir={at}/ncalrpc"),
            format!("log file={at}/log"),
            format!("tls keyfile={work}/slapd.key"),
            format!("tls certfile={work}/slapd.chain"),
            format!("tls cafile={work}/slapd-ca.pem"),
        ];
        let options = options.iter().map(String::as_str).chain(more.iter().copied());
        let options: Vec<String> = options.map(|option| format!("'--option={option}'")).collect();
        let script = format!(
            "ip link set lo up && exec samba -F --no-process-group -M single -s {at}/etc/smb.conf {}",
            options.join(" ")
        );
        let log = self.work.join("samba.log");
        self.server = Some(Server::start("unshare", &["-n", "sh", "-c", &script], &log, &[]));
        let began = Instant::now();
        wait_for("Samba", LIMIT, || {
            let asked = self.client("ldapsearch").words("-LLL -s base -b");
            let answer = asked.args(["", "supportedLDAPVersion"]).run();
            let log = || std::fs::read_to_string(dc.join("log")).unwrap_or_default();
            assert!(
                began.elapsed() < LIMIT / 2,
                "{}\n{}{}",
                answer.transcript(),
                self.running().log(),
                log()
            );
            (answer.code == Some(0)).then_some(())
        });
    }

    fn running(&self) -> &Server {
        self.server.as_ref().expect("a running Samba")
    }

    /// Kerberos as its clients have it. The keys of [`ADMIN`] are in the file `admin.keytab`, and the
    /// domain controller also has the name at which it is reached here.
    pub fn kerberos(&self, home: &Home) -> Kerberos {
        let conf = home.path("dc/etc/smb.conf");
        let tool = |words: &str| Tool::new("samba-tool").words(words).arg("-s").arg(&conf);
        tool(&format!("spn add ldap/{HOST} DC1$")).ok();
        tool(&format!("domain exportkeytab --principal={ADMIN_PRINCIPAL}"))
            .arg(home.path("admin.keytab"))
            .ok();
        Kerberos::new(home, "127.0.0.1")
    }

    /// A program in the network of the domain controller.
    pub fn near(&self, tool: Tool) -> Tool {
        let pid = self.running().pid().to_string();
        tool.under(Tool::new("nsenter").args(["-t", &pid, "-n"]))
    }

    /// Lines for a configuration file: URL, dialect, trust and login, indented by `indent`.
    pub fn config(&self, indent: &str) -> String {
        let at = self.work.display();
        [
            format!("url: ldaps://{HOST}"),
            "dialect: ad".to_owned(),
            format!("ca_root: {at}/slapd-root.crt"),
            format!("bind_dn: {ADMIN}"),
            format!("password_file: {at}/samba-password"),
        ]
        .map(|line| format!("{indent}{line}\n"))
        .concat()
    }

    /// The same for a login with Kerberos.
    pub fn config_for_tickets(&self, indent: &str) -> String {
        let config = self.config(indent);
        let kept = config.lines().filter(|line| !line.contains("bind_dn") && !line.contains("password_file"));
        kept.chain([&*format!("{indent}sasl: gssapi")]).map(|line| format!("{line}\n")).collect()
    }

    /// An LDAP client, logged in.
    pub fn client(&self, program: &str) -> Tool {
        let url = format!("ldaps://{HOST}");
        let tool = Tool::new(program)
            .within(&self.work)
            // OpenLDAP's library takes `localhost` for the name of the machine, which no certificate has.
            .env("LDAPTLS_REQCERT", "never")
            .args(["-x", "-H", &url, "-D", ADMIN, "-w", PASSWORD]);
        self.near(tool)
    }

    /// The values of an attribute of an entry, as bytes; none if there is no entry.
    #[must_use]
    pub fn values(&self, dn: &str, attribute: &str) -> Vec<Vec<u8>> {
        let tool = self.client("ldapsearch").args(["-LLL", "-o", "ldif-wrap=no", "-s", "base", "-b", dn]);
        let found = tool.arg(attribute).run().text();
        let prefix = format!("{}:: ", attribute.to_lowercase());
        let value = |line: &str| {
            let (name, value) = line.split_at_checked(prefix.len())?;
            (name.to_lowercase() == prefix).then(|| decode(value))
        };
        found.lines().filter_map(value).collect()
    }
}
