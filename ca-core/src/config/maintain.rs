//! The `maintain:` part of `ca.yaml`: what `ca maintain` looks after.

use std::path::PathBuf;

use ca_signing::PassphraseSource;
use serde::{Deserialize, Serialize};

/// What `ca maintain` looks after.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaintainConfig {
    /// The ledger's checkpoint is signed again when it is older than this, as
    /// `6h`; `off` for never.
    pub heartbeat: Heartbeat,
    /// OCSP signers that are certified on request.
    pub ocsp_signers: Vec<SignerConfig>,
}

/// How old the checkpoint may become, in seconds.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Heartbeat(pub Option<u64>);

impl Default for Heartbeat {
    /// Six hours.
    fn default() -> Self {
        Self(Some(6 * 3_600))
    }
}

const UNITS: [(char, u64); 3] = [('d', 86_400), ('h', 3_600), ('m', 60)];

impl TryFrom<String> for Heartbeat {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let seconds = UNITS.into_iter().find_map(|(unit, seconds)| {
            let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
            number.checked_mul(seconds)
        });
        match seconds {
            Some(seconds @ 60..=31_622_400) => Ok(Self(Some(seconds))),
            _ => Err(format!("{text:?} is no age of a checkpoint; write 30m, 6h or 1d, or off")),
        }
    }
}

impl From<Heartbeat> for String {
    fn from(heartbeat: Heartbeat) -> Self {
        match heartbeat.0 {
            None => "off".into(),
            Some(seconds) => format!("{}m", seconds / 60),
        }
    }
}

/// One responder's signer of one authority.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SignerConfig {
    /// The authority whose answers it signs.
    pub authority: String,
    /// Where the responder puts its request: `PREFIX.next.csr`.
    pub request: PathBuf,
    /// Where the certificate goes: `PREFIX.next.crt` of the responder.
    pub certificate: PathBuf,
    /// A template of kind ocsp-signer.
    #[serde(default = "default_template")]
    pub template: String,
    /// Validity; none for the template's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// The number of the user who may write the request, beside the home's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<u32>,
    /// A file with the passphrase of the authority's key, mode 0600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase_file: Option<PathBuf>,
    /// A credential of the service manager with that passphrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase_credential: Option<String>,
}

fn default_template() -> String {
    "ocsp-signer".into()
}

impl SignerConfig {
    /// Where the passphrase of the authority's key comes from.
    ///
    /// # Errors
    /// Two sources are named.
    pub fn passphrase(&self) -> Result<PassphraseSource, &'static str> {
        let (file, credential) = (self.passphrase_file.clone(), self.passphrase_credential.clone());
        PassphraseSource::of(file, credential, None)
    }
}

impl MaintainConfig {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What is wrong with it.
    pub(super) fn check(&self) -> Result<(), String> {
        for (number, signer) in self.ocsp_signers.iter().enumerate() {
            let bad = |what: String| format!("maintain.ocsp_signers: {}: {what}", signer.authority);
            crate::authority::check_name(&signer.authority).map_err(|error| bad(error.to_string()))?;
            signer.passphrase().map_err(|what| bad(what.into()))?;
            let paths = [&signer.request, &signer.certificate];
            if let Some(path) = paths.iter().find(|path| !path.is_absolute()) {
                return Err(bad(format!("{} is not an absolute path", path.display())));
            }
            if signer.request == signer.certificate {
                return Err(bad("request and certificate are the same file".into()));
            }
            let others = self.ocsp_signers.iter().take(number);
            if others.flat_map(|other| [&other.request, &other.certificate]).any(|path| paths.contains(&path))
            {
                return Err(bad("another signer has the same file".into()));
            }
        }
        Ok(())
    }

    /// The text in `ca.yaml`.
    pub(super) fn to_yaml(&self) -> String {
        let example = "
# What `ca maintain` looks after, run by a timer.
# maintain:
#   heartbeat: 6h
#   ocsp_signers:
#     - authority: issuing
#       request: /var/lib/chancery-ocsp/issuing.next.csr       # made by the responder
#       certificate: /var/lib/chancery-ocsp/issuing.next.crt   # taken over by the responder
#       passphrase_credential: issuing
";
        if self.is_default() {
            return example.into();
        }
        // JSON is YAML, and quotes whatever a path may hold.
        serde_json::to_string(self).map_or_else(|_| example.into(), |json| format!("\nmaintain: {json}\n"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::HomeConfig;

    fn parse(maintain: &str) -> Result<HomeConfig, String> {
        let text = format!("version: 1\nledger_vkey: x\nmaintain: {maintain}\n");
        HomeConfig::parse(&text, Path::new("ca.yaml")).map_err(|error| error.to_string())
    }

    #[test]
    fn written_and_read_back() {
        let signer = "{authority: issuing, request: /a/r, certificate: /a/c, days: 7, owner: 998, \
                      passphrase_credential: issuing}";
        let config = parse(&format!("{{heartbeat: 1d, ocsp_signers: [{signer}]}}")).unwrap();
        assert_eq!(config.maintain.heartbeat.0, Some(86_400));
        assert_eq!(config.maintain.ocsp_signers[0].template, "ocsp-signer");
        assert_eq!(HomeConfig::parse(&config.to_yaml(), Path::new("ca.yaml")).unwrap(), config);
        assert_eq!(parse("{heartbeat: off}").unwrap().maintain.heartbeat.0, None);
        assert_eq!(parse("{}").unwrap().maintain.heartbeat.0, Some(21_600));
    }

    #[test]
    fn what_cannot_be() {
        let same = "{authority: a, request: /a/r, certificate: /a/c}";
        for (bad, said) in [
            ("{heartbeat: 5s}", "no age"),
            ("{heart: 6h}", "heart"),
            ("{ocsp_signers: [{authority: a, request: r, certificate: /a/c}]}", "absolute"),
            ("{ocsp_signers: [{authority: a, request: /a/c, certificate: /a/c}]}", "same file"),
            ("{ocsp_signers: [{authority: ../a, request: /a/r, certificate: /a/c}]}", "name of an authority"),
            (&format!("{{ocsp_signers: [{same}, {same}]}}"), "another signer"),
        ] {
            let error = parse(bad).unwrap_err();
            assert!(error.contains(said), "{bad}: {error}");
        }
    }
}
