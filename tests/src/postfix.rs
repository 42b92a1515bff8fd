//! Postfix, unpacked in `target/postfix`: Debian installs one mail server, and that is Exim.

use crate::server::Server;
use crate::tls::HOST;
use crate::tool::source_root;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

/// Whom Postfix gives its rights up for: a user and a group that every Debian has. Its package would make its own.
const OWNER: (&str, u32) = ("daemon", 1);
const DROP: (&str, u32) = ("mail", 8);

/// The domain for which it takes mail, and throws it away.
pub const DOMAIN: &str = "example.test";

/// Starts Postfix with its directories in `dir`, which others may enter, and `settings` at the end of `main.cf`.
/// What it logs is in `dir/log`.
pub fn postfix(dir: &Path, port: u16, settings: &str) -> Server {
    let unpacked = source_root().join("target/postfix");
    let queue = dir.join("queue");
    for private in
        ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved"]
    {
        make(&queue.join(private), OWNER.1, None, 0o700);
    }
    make(&queue.join("pid"), 0, None, 0o755);
    make(&queue.join("public"), OWNER.1, Some(DROP.1), 0o710);
    make(&queue.join("maildrop"), OWNER.1, Some(DROP.1), 0o1730);
    make(&dir.join("data"), OWNER.1, None, 0o700);
    let (at, from) = (dir.display(), unpacked.display());
    let main = format!(
        "compatibility_level = 3.6\nqueue_directory = {at}/queue\ndata_directory = {at}/data\n\
         daemon_directory = {from}/usr/lib/postfix/sbin\ncommand_directory = {from}/usr/sbin\n\
         shlib_directory = {from}/usr/lib/postfix\nimport_environment = MAIL_CONFIG LD_LIBRARY_PATH\n\
         mail_owner = {}\nsetgid_group = {}\nmaillog_file = {at}/log\nmaillog_file_prefixes = {at}\n\
         myhostname = {HOST}\nmydestination = {DOMAIN}\nlocal_recipient_maps =\nalias_maps =\n\
         local_transport = discard:\n{settings}",
        OWNER.0, DROP.0
    );
    fs::write(dir.join("main.cf"), main).expect("write a file");
    // As Debian has it, smtpd is in a chroot.
    let master = format!(
        "127.0.0.1:{port} inet n - y - - smtpd\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n\
         tlsmgr unix - - n 1000? 1 tlsmgr\nrewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\n\
         defer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\nproxymap unix - - n - - proxymap\n\
         anvil unix - - n - 1 anvil\ndiscard unix - - n - - discard\npostlog unix-dgram n - n - 1 postlogd\n"
    );
    fs::write(dir.join("master.cf"), master).expect("write a file");
    let library = format!("LD_LIBRARY_PATH={from}/usr/lib/postfix");
    let program = unpacked.join("usr/lib/postfix/sbin/master");
    assert!(program.exists(), "{} is missing; run: scripts/install-prerequisites test", program.display());
    let arguments = [&library, &program.display().to_string(), "-c", &at.to_string(), "-s"];
    Server::start("env", &arguments, &dir.join("output"), &[port])
}

fn make(dir: &Path, owner: u32, group: Option<u32>, mode: u32) {
    fs::create_dir_all(dir).expect("make a directory");
    chown(dir, Some(owner), group).expect("change an owner");
    fs::set_permissions(dir, Permissions::from_mode(mode)).expect("set a mode");
}
