//! A private key under lock, as it lies on the disk where that is wanted: an armour of its own around what a [`Vault`] made of the PEM.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::secret::{Secret, Vault};

const BEGIN: &str = "-----BEGIN COUNTERSIGN SEALED KEY-----\n";
const END: &str = "-----END COUNTERSIGN SEALED KEY-----\n";

/// Whether `text` is sealed.
pub(super) fn is_sealed(text: &str) -> bool {
    text.starts_with(BEGIN)
}

/// `pem`, sealed.
pub(super) fn seal(pem: &Secret, vault: &Vault) -> String {
    let text = STANDARD.encode(vault.lock(pem.reveal()));
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("{BEGIN}{}\n{END}", lines.join("\n"))
}

/// The PEM in `text`, which may not be sealed at all.
///
/// # Errors
/// It does not open, and what to do.
pub(super) fn open(text: Secret, vault: Option<&Vault>) -> Result<Secret, &'static str> {
    let Some(inside) = text.reveal().strip_prefix(BEGIN) else { return Ok(text) };
    let vault = vault.ok_or("it is sealed; keys.sealing_key names what opens it")?;
    let lines: String = inside.strip_suffix(END).unwrap_or_default().lines().collect();
    let opened = STANDARD.decode(lines).ok().and_then(|locked| vault.unlock(&locked));
    opened.ok_or("it does not open with keys.sealing_key: that is another one, or the file is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_what_sealed_it_and_with_nothing_else() {
        let vault = |key: &str| Vault::of_keys(Secret::new(key.to_owned()));
        let (ours, others, pem) = (vault("ours"), vault("others"), Secret::new("a private key\n".repeat(20)));
        let text = seal(&pem, &ours);
        assert!(is_sealed(&text) && text.ends_with(END) && !text.contains("private"), "{text}");
        let opened = |text: &str, vault: Option<&Vault>| {
            open(Secret::new(text.to_owned()), vault).map(|opened| opened.reveal().to_owned())
        };
        assert_eq!(opened(&text, Some(&ours)), Ok(pem.reveal().to_owned()));
        assert!(opened(&text, None).is_err_and(|why| why.contains("keys.sealing_key names what opens it")));
        let body = text.trim_start_matches(BEGIN);
        let turned: String = body.chars().rev().collect();
        let store = Vault::under(Secret::new("ours".to_owned()));
        for (spoilt, vault) in [
            (text.clone(), &others),
            (text.clone(), &store),
            (text.replace(END, ""), &ours),
            (format!("{BEGIN}{turned}"), &ours),
            (BEGIN.to_owned(), &ours),
        ] {
            assert!(opened(&spoilt, Some(vault)).is_err_and(|why| why.contains("does not open")), "{spoilt}");
        }
        assert_eq!(opened(pem.reveal(), Some(&ours)), Ok(pem.reveal().to_owned()), "it need not be sealed");
    }
}
