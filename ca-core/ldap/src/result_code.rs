//! Result codes (RFC 4511, section 4.1.9 and appendix A): what they say, and of what.

/// What a refusal is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Concern {
    /// The request and its entry: the next one may well be taken.
    Request,
    /// The whole directory, or our standing there: nothing else would be taken either.
    Directory,
}

/// What a result code is about. Codes that can be either are about the request: one entry never keeps the
/// others from being changed, and each that is refused is told.
pub(crate) const fn concerns(code: u32) -> Concern {
    match code {
        // How the connection is protected, and who is logged in.
        7 | 8 | 13 | 14 | 48 | 49 => Concern::Directory,
        // The server as a whole: busy, unavailable.
        51 | 52 => Concern::Directory,
        // Limits are those of one operation: time (3), size (4), and what an administrator set (11), which in Active
        // Directory is the number of values of an entry, too.
        _ => Concern::Request,
    }
}

/// What a result code means (RFC 4511, appendix A), with what to do about it.
#[must_use]
pub fn code_in_words(code: u32) -> String {
    let words = match code {
        1 => "operations error; log in first, or see the server's log",
        2 => "protocol error",
        3 => "time limit exceeded; ask for less, or raise the server's limit",
        4 => "size limit exceeded; raise the server's limit for this user",
        7 => "authentication method not supported",
        8 => "stronger authentication required; use ldaps:// or start_tls",
        10 => "referral to another server; give that server's URL",
        11 => {
            "administrative limit exceeded; raise the server's limit for this user, or remove values from the entry"
        }
        12 => "unavailable critical extension",
        13 => "confidentiality required; use ldaps:// or start_tls",
        16 => "no such attribute or value; is the dialect right?",
        17 => "undefined attribute type; is the dialect right, and the schema loaded?",
        18 => "inappropriate matching",
        19 => "constraint violation",
        20 => "attribute or value exists",
        21 => "invalid attribute syntax",
        32 => "no such object; is the base right?",
        34 => "invalid DN syntax",
        48 => "inappropriate authentication",
        49 => "invalid credentials; check the name and the password file",
        50 => "insufficient access rights; give this user write access to the attribute",
        51 => "busy; try again later",
        52 => "unavailable; try again later",
        53 => "unwilling to perform",
        64 => "naming violation",
        65 => "object class violation; the entry's classes do not allow the attribute",
        68 => "entry already exists",
        80 => "other error; see the server's log",
        _ => "an unusual result",
    };
    format!("{words} [code {code}]")
}

#[cfg(test)]
mod tests {
    use crate::LdapError;

    /// Every code of the standard that refuses.
    #[test]
    fn each_code_is_about_the_request_or_the_directory() {
        let request = [
            (1, "operationsError"),
            (2, "protocolError"),
            (3, "timeLimitExceeded"),
            (4, "sizeLimitExceeded"),
            (10, "referral"),
            (11, "adminLimitExceeded"),
            (12, "unavailableCriticalExtension"),
            (16, "noSuchAttribute"),
            (17, "undefinedAttributeType"),
            (18, "inappropriateMatching"),
            (19, "constraintViolation"),
            (20, "attributeOrValueExists"),
            (21, "invalidAttributeSyntax"),
            (32, "noSuchObject"),
            (33, "aliasProblem"),
            (34, "invalidDNSyntax"),
            (36, "aliasDereferencingProblem"),
            (50, "insufficientAccessRights"),
            (53, "unwillingToPerform"),
            (54, "loopDetect"),
            (64, "namingViolation"),
            (65, "objectClassViolation"),
            (66, "notAllowedOnNonLeaf"),
            (67, "notAllowedOnRDN"),
            (68, "entryAlreadyExists"),
            (69, "objectClassModsProhibited"),
            (71, "affectsMultipleDSAs"),
            (80, "other"),
        ];
        let directory = [
            (7, "authMethodNotSupported"),
            (8, "strongerAuthRequired"),
            (13, "confidentialityRequired"),
            (14, "saslBindInProgress"),
            (48, "inappropriateAuthentication"),
            (49, "invalidCredentials"),
            (51, "busy"),
            (52, "unavailable"),
        ];
        let all = request.map(|one| (one, true)).into_iter().chain(directory.map(|one| (one, false)));
        for ((code, name), is_refusal) in all {
            let (server, dn, text) = (String::new(), String::new(), String::new());
            let error = LdapError::Refused { server, action: "change an entry", dn, code, text };
            assert_eq!(error.is_refusal(), is_refusal, "{name}");
            assert!(error.to_string().contains(&format!("[code {code}]")), "{name}: {error}");
        }
    }
}
