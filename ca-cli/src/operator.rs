//! Who sits at the keyboard, as far as the operating system knows.
//!
//! An authority's home belongs to one user, so the user of the process says
//! nothing about the person: people come through sudo.

/// The value of the kernel's login user before anybody logged in.
const NOBODY: u32 = u32::MAX;

/// The user number of the person.
///
/// First the kernel's login user, which is set once at the login and which
/// neither sudo nor su changes (`/proc/self/loginuid`, needs pam_loginuid and
/// audit support). Without one, the user who called sudo, as sudo says; else
/// the user of this process.
pub(crate) fn uid() -> u32 {
    let login = std::fs::read_to_string("/proc/self/loginuid").ok();
    choose(login.as_deref(), std::env::var("SUDO_UID").ok().as_deref(), rustix::process::getuid().as_raw())
}

fn choose(login: Option<&str>, sudo: Option<&str>, process: u32) -> u32 {
    let number = |text: Option<&str>| text.and_then(|text| text.trim().parse::<u32>().ok());
    number(login).filter(|uid| *uid != NOBODY).or_else(|| number(sudo)).unwrap_or(process)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_comes_before_sudo_and_sudo_before_the_process() {
        assert_eq!(choose(Some("1000\n"), Some("1001"), 0), 1000);
        assert_eq!(choose(Some("4294967295"), Some("1001"), 0), 1001);
        assert_eq!(choose(None, Some("not a number"), 7), 7);
        assert_eq!(choose(None, None, 7), 7);
    }
}
