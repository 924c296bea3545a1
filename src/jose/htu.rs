//! The `htu` of a DPoP proof (RFC 9449 §4.2), held against the URL of a call by the rules of RFC 3986, and by nobody's parser for browsers.

/// RFC 9449 §4.3, item 9: whether `htu` names the same place as `url`, both without query and fragment, by the rules of RFC 3986 §6.2.2 and §6.2.3.
pub(super) fn is_same_place(htu: &str, url: &str) -> bool {
    htu.len() <= 2_048 && place(htu).is_some_and(|htu| Some(htu) == place(url))
}

/// Host, port and path of an `https` URI as RFC 3986 writes one. A parser for browsers would mend what is none, and then two readers take one text for two places.
fn place(uri: &str) -> Option<(String, &str, String)> {
    // RFC 3986 §2: no other character is in a URI. No user is in one that somebody may believe (§3.2.1, RFC 9110 §4.2.4).
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&byte);
    let (scheme, rest) = uri.split_once("://").filter(|_| uri.bytes().all(allowed))?;
    let rest = rest.split(['?', '#']).next().filter(|_| scheme.eq_ignore_ascii_case("https"))?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let bracket = authority.rfind(']').unwrap_or_default();
    let (host, port) = authority.split_at(authority[bracket..].rfind(':').map_or(authority.len(), |at| bracket + at));
    let host = unescaped(host).to_ascii_lowercase();
    let port = Some(port.trim_start_matches(':')).filter(|port| !port.is_empty()).unwrap_or("443");
    (!host.is_empty() && !host.contains('@')).then(|| (host, port, without_dots(&unescaped(path))))
}

/// RFC 3986 §5.2.4.
fn without_dots(path: &str) -> String {
    let (mut kept, mut directory) = (Vec::new(), true);
    for segment in path.split('/').skip(1) {
        directory = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    let end = if directory && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/"))
}

/// Part of a URI in which nothing is escaped that need not be, and all else in capitals (RFC 3986 §6.2.2.1, §6.2.2.2).
fn unescaped(path: &str) -> String {
    let mut parts = path.split('%');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                plain.push(char::from(byte));
                plain.push_str(&part[2..]);
            }
            Some(_) => plain.extend(["%", &part[..2].to_ascii_uppercase(), &part[2..]]),
            None => plain.extend(["%", part]),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dpop_4_3_10_an_htu_is_compared_as_rfc_3986_has_it() {
        const URL: &str = "https://as.example/token";
        for same in [
            URL,
            "https://AS.example:443/token",
            "HTTPS://as.example/./x/../token",
            "https://as.example/%74oke%6E",
            "https://as.example/token?a=b",
            "https://as.example/token#x",
        ] {
            assert!(is_same_place(same, URL), "{same}");
        }
        for other in [
            "http://as.example/token",
            "https://as.example:8443/token",
            "https://as.example/token/",
            "https://as.example/Token",
            "https://as.example/tok%2Fen",
            "https://other.example/token",
            "https://u@as.example/token",
            "//as.example/token",
            "/token",
            "",
        ] {
            assert!(!is_same_place(other, URL), "{other}");
        }
        assert!(is_same_place("https://as.example/a%2fb", "https://as.example/a%2Fb"));
        assert!(!is_same_place("https://as.example/a/b", "https://as.example/a%2Fb"));
        assert!(is_same_place("https://as.example/%zz%", "https://as.example/%zz%"));
        assert!(!is_same_place(&format!("{URL}?{}", "a".repeat(4_000)), URL));
        for (same, url) in [
            ("https://as.example", "https://as.example/"),
            ("https://as.example:/a/..", "https://as.example/"),
            ("https://as.example/../../a/./b/../c/.", "https://as.example/a/c/"),
            ("https://as.example/%2e%2E/token", URL),
            ("https://%61s.example/token", URL),
            ("https://[2001:DB8::9]:443/token", "https://[2001:db8::9]/token"),
            ("https://localhost:9443/token", "https://LOCALHOST:9443/token"),
        ] {
            assert!(is_same_place(same, url), "{same}");
        }
    }

    /// Each of these is `https://localhost/token` to the parser of a browser.
    #[test]
    fn dpop_4_3_10_what_is_no_uri_is_not_mended() {
        for none in [
            "https://localhost\\@evil.example/../token",
            "https:\\\\localhost/token",
            "https:localhost/token",
            "https:/localhost/token",
            "https:///localhost/token",
            "https:////localhost/token",
            "https://@localhost/token",
            "https://:@localhost/token",
            "https://%40localhost/token",
            "https://local\thost/token",
            "https://localhost/to\nken",
            "https://localhost/token\r",
            " https://localhost/token",
            "https://localhost/token ",
            "https://localhost/token\0",
            "\u{1}https://localhost/token",
            "https://localhost\u{7f}/token",
            "https://ｌｏｃａｌｈｏｓｔ/token",
            "https://%EF%BD%8C%EF%BD%8F%EF%BD%83%EF%BD%81%EF%BD%8C%EF%BD%88%EF%BD%8F%EF%BD%93%EF%BD%94/token",
            "https://local\u{ad}host/token",
            "https://localhost:0443/token",
            "https://localhost:443:443/token",
            "https://localhost/\"token",
            "https://localhost/<token>",
            "https://localhost/^token",
            "https://localhost/`token",
            "https://localhost/{token}",
            "https://localhost/a|b/../token",
            "https://localhost|/token",
        ] {
            assert!(!is_same_place(none, "https://localhost/token"), "{none:?}");
        }
        assert!(!is_same_place("https://127.1/token", "https://127.0.0.1/token"));
        assert!(!is_same_place("https://0x7f000001/token", "https://127.0.0.1/token"));
        assert!(!is_same_place("https://[::0:1]/token", "https://[::1]/token"));
    }
}
