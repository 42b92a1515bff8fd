//! What commands say of PKCS#12 files.

use std::path::PathBuf;

use ca_core::signing::pkcs12::Pkcs12Profile;
use clap::{Arg, Args, ValueEnum};

use crate::passphrase::Source;

/// Which programs must read a PKCS#12 file.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum P12Profile {
    /// AES-256 and HMAC-SHA256: OpenSSL, NSS, Thunderbird, GnuTLS, Java, Windows from 2019.
    Modern,
    /// 3DES and HMAC-SHA1: Apple, gpgsm and Windows Server 2016 as well.
    Compat,
}

impl From<P12Profile> for Pkcs12Profile {
    fn from(profile: P12Profile) -> Self {
        match profile {
            P12Profile::Compat => Self::Compat,
            P12Profile::Modern => Self::Modern,
        }
    }
}

/// A PKCS#12 file that is written.
#[derive(Args, Debug)]
pub(crate) struct P12Args {
    /// Which programs read the PKCS#12 file.
    #[arg(long, value_enum, default_value_t = P12Profile::Modern)]
    pub(crate) p12_profile: P12Profile,
    #[command(flatten)]
    pub(crate) password: P12PasswordArgs,
}

/// The password of a PKCS#12 file.
#[derive(Args, Debug)]
pub(crate) struct P12PasswordArgs {
    /// A file with the password of the PKCS#12 file on its first line, mode 0600.
    #[arg(long, value_name = "FILE", conflicts_with = "p12_password_fd")]
    p12_password_file: Option<PathBuf>,
    /// An open descriptor to read the password of the PKCS#12 file from.
    #[arg(long, value_name = "N")]
    p12_password_fd: Option<u32>,
}

impl P12PasswordArgs {
    pub(crate) fn source(&self) -> Source<'_> {
        Source {
            file: self.p12_password_file.as_ref(),
            fd: self.p12_password_fd,
            flag: "--p12-password-file or --p12-password-fd",
        }
    }

    pub(crate) const fn is_given(&self) -> bool {
        self.p12_password_file.is_some() || self.p12_password_fd.is_some()
    }
}

/// Makes the arguments of [`P12Args`] those of several files.
pub(super) fn of_files(arg: Arg) -> Arg {
    if !is_ours(&arg) {
        return arg;
    }
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    arg.help(help.replace("the PKCS#12 file", "the PKCS#12 files"))
}

/// Lets a password be given only with `--p12`.
pub(super) fn needs_file(arg: Arg) -> Arg {
    if is_ours(&arg) && arg.get_id() != PROFILE { arg.requires("p12") } else { arg }
}

/// The option that has a default.
const PROFILE: &str = "p12_profile";

fn is_ours(arg: &Arg) -> bool {
    [PROFILE, "p12_password_file", "p12_password_fd"].contains(&arg.get_id().as_str())
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;
    use clap::{CommandFactory, Parser};

    use crate::args::Cli;

    fn refused(words: &str) -> Option<ErrorKind> {
        Cli::try_parse_from(words.split(' ')).err().map(|error| error.kind())
    }

    #[test]
    fn a_password_is_for_a_file_from_one_place() {
        for command in [
            "ca renew 4f",
            "ca person rename --email a@example.test --to b@example.test",
            "ca export bundle --format p12",
        ] {
            let file = if command.contains("export") { "" } else { " --p12 a.p12" };
            let given = format!("{command}{file} --p12-password-file a");
            assert_eq!(refused(&given), None, "{given}");
            let twice = format!("{given} --p12-password-fd 3");
            assert_eq!(refused(&twice), Some(ErrorKind::ArgumentConflict), "{twice}");
        }
        for option in ["--p12-password-file a", "--p12-password-fd 3"] {
            let alone = format!("ca renew 4f {option}");
            assert_eq!(refused(&alone), Some(ErrorKind::MissingRequiredArgument), "{alone}");
        }
        assert_eq!(refused("ca renew 4f --p12-profile compat"), None);
    }

    #[test]
    fn the_help_tells_one_file_from_several() {
        for (path, expected) in [
            (["escrow", "complete"], "of the PKCS#12 files"),
            (["export", "intune"], "of the PKCS#12 files"),
            (["export", "bundle"], "of the PKCS#12 file "),
        ] {
            let mut cli = Cli::command();
            let command =
                path.iter().fold(&mut cli, |command, name| command.find_subcommand_mut(name).unwrap());
            let arg = command.get_arguments().find(|arg| arg.get_id() == "p12_password_file").unwrap();
            let help = arg.get_help().unwrap().to_string();
            assert!(help.contains(expected), "{path:?}: {help}");
        }
    }
}
