//! [`Subject`]: whom a certificate has to name to authenticate a client (RFC 8705 §2.1.2), and how names are compared (RFC 4514, RFC 4517 §4.2.15).

use std::net::IpAddr;

use crate::wire::inbound::{AltName, PeerCertificate, Rdn};

/// Exactly one of the five `tls_client_auth_*` members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// `tls_client_auth_subject_dn`, in the order of the certificate.
    Dn(Vec<Rdn>),
    /// `tls_client_auth_san_dns`.
    Dns(String),
    /// `tls_client_auth_san_uri`.
    Uri(String),
    /// `tls_client_auth_san_ip`.
    Ip(IpAddr),
    /// `tls_client_auth_san_email`.
    Email(String),
}

/// The names that RFC 4514 §3 and common practice give to attribute types. Any other type is written as its OID.
const KEYWORDS: [(&str, &str); 14] = [
    ("CN", "2.5.4.3"),
    ("SERIALNUMBER", "2.5.4.5"),
    ("C", "2.5.4.6"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("STREET", "2.5.4.9"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("BUSINESSCATEGORY", "2.5.4.15"),
    ("ORGANIZATIONIDENTIFIER", "2.5.4.97"),
    ("UID", "0.9.2342.19200300.100.1.1"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("EMAILADDRESS", "1.2.840.113549.1.9.1"),
    ("JURISDICTIONCOUNTRYNAME", "1.3.6.1.4.1.311.60.2.1.3"),
];

impl Subject {
    /// Whether `certificate` names this subject. Alternative names are compared by kind, exactly; DNS names without case (RFC 4343), and
    /// a wildcard names nobody.
    pub fn is_named_by(&self, certificate: &PeerCertificate) -> bool {
        let any = |wanted: &dyn Fn(&AltName) -> bool| certificate.alt_names.iter().any(wanted);
        match self {
            Self::Dn(name) => {
                name.len() == certificate.subject.len()
                    && name.iter().zip(&certificate.subject).all(|(ours, theirs)| same(ours, theirs))
            }
            Self::Dns(name) => any(&|found| matches!(found, AltName::Dns(found) if found.eq_ignore_ascii_case(name))),
            Self::Uri(uri) => any(&|found| matches!(found, AltName::Uri(found) if found == uri)),
            Self::Ip(ip) => any(&|found| matches!(found, AltName::Ip(found) if found == ip)),
            Self::Email(email) => any(&|found| matches!(found, AltName::Email(found) if found == email)),
        }
    }
}

/// Reads an RFC 4514 string. It is written from the most specific to the least, a certificate holds it the other way round.
///
/// # Errors
/// What is wrong with it, in words.
pub fn distinguished_name(text: &str) -> Result<Vec<Rdn>, &'static str> {
    let mut name = split(text, ',')?
        .into_iter()
        .map(|rdn| split(rdn, '+')?.into_iter().map(attribute).collect())
        .collect::<Result<Vec<Rdn>, _>>()?;
    name.reverse();
    if name.is_empty() { Err("is empty") } else { Ok(name) }
}

/// The pieces of `text` between separators that are not escaped.
fn split(text: &str, separator: char) -> Result<Vec<&str>, &'static str> {
    let (mut pieces, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match (escaped, c) {
            (true, _) => escaped = false,
            (false, '\\') => escaped = true,
            (false, c) if c == separator => {
                pieces.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            (false, '"' | ';' | '<' | '>' | '\0') => return Err("has a character that RFC 4514 wants escaped"),
            (false, _) => {}
        }
    }
    pieces.push(&text[start..]);
    Ok(pieces)
}

fn attribute(text: &str) -> Result<(String, String), &'static str> {
    let (keyword, value) = text.split_once('=').ok_or("has a part without =")?;
    let keyword = keyword.trim();
    let keyword = keyword.strip_prefix("OID.").unwrap_or(keyword);
    let known = KEYWORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(keyword)).map(|(_, oid)| (*oid).to_owned());
    let dotted = keyword.contains('.')
        && keyword.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()));
    let oid = known
        .or_else(|| dotted.then(|| keyword.to_owned()))
        .ok_or("has an attribute type that is neither a known keyword nor an OID")?;
    Ok((oid, unescape(value)?))
}

/// RFC 4514 §2.4: `\` before a special character or two hexadecimal digits; `#` before the BER of a string.
fn unescape(value: &str) -> Result<String, &'static str> {
    let value = value.trim_start_matches(' ');
    if let Some(hex) = value.strip_prefix('#') {
        return ber_string(&hex_bytes(hex.trim_end()).ok_or("has a #value that is not hexadecimal")?);
    }
    let (mut bytes, mut rest, mut kept) = (Vec::new(), value.bytes(), 0);
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            kept = if byte == b' ' { kept } else { bytes.len() };
            continue;
        }
        let first = rest.next().ok_or("ends in the middle of an escape")?;
        match (char::from(first).to_digit(16), first) {
            (Some(high), _) => {
                let low = rest.next().and_then(|low| char::from(low).to_digit(16)).ok_or("has a broken escape")?;
                bytes.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits fit a byte"));
            }
            (None, b' ' | b'"' | b'#' | b'+' | b',' | b';' | b'<' | b'=' | b'>' | b'\\') => bytes.push(first),
            (None, _) => return Err("has a broken escape"),
        }
        kept = bytes.len();
    }
    bytes.truncate(kept);
    String::from_utf8(bytes).ok().filter(|text| !text.is_empty()).ok_or("has a value that is empty or not UTF-8")
}

fn hex_bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = hex.chars().map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    digits
        .chunks(2)
        .map(|pair| if let [high, low] = pair { u8::try_from(high * 16 + low).ok() } else { None })
        .collect()
}

/// A UTF8String, PrintableString or IA5String of at most 127 bytes: tag, length, text.
fn ber_string(ber: &[u8]) -> Result<String, &'static str> {
    match ber {
        [0x0c | 0x13 | 0x16, length, text @ ..] if usize::from(*length) == text.len() && *length < 128 => {
            String::from_utf8(text.to_vec()).map_err(|_| "has a #value that is not UTF-8")
        }
        _ => Err("has a #value that is not a UTF8String, PrintableString or IA5String"),
    }
}

/// RFC 4517 §4.2.15: the same attributes, in whatever order within one RDN; values without case and with runs of spaces as one (RFC 4518 §2.6.1).
fn same(ours: &Rdn, theirs: &Rdn) -> bool {
    ours.len() == theirs.len()
        && ours
            .iter()
            .all(|(oid, value)| theirs.iter().any(|(other, found)| oid == other && prepared(value) == prepared(found)))
}

fn prepared(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Digest;

    fn pair(oid: &str, value: &str) -> (String, String) {
        (oid.to_owned(), value.to_owned())
    }

    fn certificate(subject: Vec<Rdn>, alt_names: Vec<AltName>) -> PeerCertificate {
        PeerCertificate { thumbprint: Digest::of(b""), not_before: 0, not_after: 0, trusted: true, subject, alt_names }
    }

    #[test]
    fn rfc4514_a_name_is_read_from_the_specific_end() {
        let read = distinguished_name("CN=Till 7, OU=Tills+L=Paris,O=Corner Shop\\, Ltd,C=FR").expect("well-formed");
        let expected = vec![
            vec![pair("2.5.4.6", "FR")],
            vec![pair("2.5.4.10", "Corner Shop, Ltd")],
            vec![pair("2.5.4.11", "Tills"), pair("2.5.4.7", "Paris")],
            vec![pair("2.5.4.3", "Till 7")],
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn rfc4514_2_4_escapes_and_values_in_hexadecimal_are_undone() {
        for (text, value) in [
            (r"CN=a\2Cb", "a,b"),
            (r"cn=S\C3\A3o", "São"),
            (r"2.5.4.3=\#x", "#x"),
            (r"OID.2.5.4.3=\ a\ ", " a "),
            ("CN=  a  ", "a"),
            ("2.5.4.3=#0c0548656c6c6f", "Hello"),
            ("2.5.4.3=#130548656c6c6f", "Hello"),
        ] {
            let name = distinguished_name(text).unwrap_or_else(|why| panic!("{text} {why}"));
            assert_eq!(name, [[pair("2.5.4.3", value)]], "{text}");
        }
        for bad in [
            "",
            "CN",
            "CN=",
            "FOO=x",
            "CN=a\\",
            "CN=a\\q",
            "CN=a\"b",
            "CN=a<b",
            "2..5=x",
            "CN=#zz",
            "CN=#0405",
            "CN=a,,O=b",
            "CN=a;O=b",
        ] {
            assert!(distinguished_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn mtls_2_1_2_2_values_are_compared_by_attribute_not_as_text() {
        let ours = Subject::Dn(distinguished_name("CN=till seven,O=Corner  Shop").expect("well-formed"));
        let named = |subject| ours.is_named_by(&certificate(subject, Vec::new()));
        let o = vec![pair("2.5.4.10", "CORNER SHOP")];
        assert!(named(vec![o.clone(), vec![pair("2.5.4.3", "Till Seven")]]), "case and spaces");
        assert!(!named(vec![vec![pair("2.5.4.3", "Till Seven")], o.clone()]), "order");
        assert!(!named(vec![o.clone(), vec![pair("2.5.4.11", "Till Seven")]]), "type");
        assert!(!named(vec![o.clone(), vec![pair("2.5.4.3", "Till Seve")]]), "value");
        assert!(!named(vec![o, vec![pair("2.5.4.3", "Till Seven")], vec![pair("2.5.4.11", "x")]]), "more");
        assert!(!named(vec![vec![pair("2.5.4.10", "Corner Shop,CN=till seven")]]), "a comma is not a boundary");
        assert!(!named(Vec::new()));
    }

    #[test]
    fn mtls_2_1_2_2_alternative_names_are_compared_by_kind() {
        let names = vec![
            AltName::Dns("Till7.shop.example".into()),
            AltName::Uri("https://shop.example/till7".into()),
            AltName::Email("till7@shop.example".into()),
            AltName::Ip("2001:db8::7".parse().expect("an address")),
            AltName::Dns("*.other.example".into()),
        ];
        let certificate = certificate(Vec::new(), names);
        let named = |subject: Subject| subject.is_named_by(&certificate);
        assert!(
            named(Subject::Dns("till7.SHOP.example".into()))
                && named(Subject::Ip("2001:DB8:0::7".parse().expect("an address")))
        );
        assert!(
            named(Subject::Uri("https://shop.example/till7".into()))
                && named(Subject::Email("till7@shop.example".into()))
        );
        assert!(!named(Subject::Dns("till7@shop.example".into())) && !named(Subject::Uri("till7.shop.example".into())));
        assert!(!named(Subject::Dns("a.other.example".into())) && !named(Subject::Email("TILL7@shop.example".into())));
        assert!(!named(Subject::Ip("192.0.2.7".parse().expect("an address"))));
    }
}
