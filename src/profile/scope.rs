//! What a scope looks like (RFC 6749 §3.3). Limits are taste.

const LONGEST_SCOPE: usize = 2 * 1024;
const MOST_SCOPES: usize = 64;

/// RFC 6749 §3.3: scope tokens with one space between, none of them twice.
pub(super) fn is_scope(scope: &str) -> bool {
    let tokens: Vec<&str> = scope.split(' ').collect();
    scope.len() <= LONGEST_SCOPE
        && tokens.len() <= MOST_SCOPES
        && tokens.iter().all(|token| is_scope_token(token))
        && (1..tokens.len()).all(|at| !tokens[..at].contains(&tokens[at]))
}

/// RFC 6749 §3.3.
pub fn is_scope_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ciba_7_1_11_a_scope_is_tokens_with_one_space_between() {
        assert!(is_scope("openid accounts") && is_scope("accounts openid") && is_scope("openid consent:urn:bank:1"));
        for bad in [
            "",
            " openid",
            "openid ",
            "openid  accounts",
            "openid\taccounts",
            "open\"id",
            "open\\id",
            "openid openid",
            "openid é",
        ] {
            assert!(!is_scope(bad), "{bad:?}");
        }
        assert!(!is_scope(&(0..65).map(|i| format!("s{i}")).collect::<Vec<_>>().join(" ")));
        assert!(!is_scope(&"s".repeat(LONGEST_SCOPE + 1)));
    }
}
