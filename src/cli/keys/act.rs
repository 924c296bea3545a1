//! What each `countersign keys` command does: look, or draw up a change, show it, record it and put it in force.

use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::json;

use crate::audit::{Audit, Event};
use crate::cli::keys::shown::{changes, json, one, table};
use crate::cli::keys::{Command, How, Options, Refused};
use crate::cli::shown::date;
use crate::clock::{Clock as _, System};
use crate::config::Config;
use crate::http::routes::PUBLISHED_FOR;
use crate::jose::alg::Alg;
use crate::keys::change::{Haste, Terms};
use crate::keys::folder::{Folder, entry};
use crate::keys::{Deed, Manifest};
use crate::secret::{Digest, Secret};

/// How long a server may take to notice that the folder has changed, and how far clocks may be apart, in seconds.
const MARGIN: u32 = 60;

/// The folder, and what there is to know of it.
struct Keys {
    config: Config,
    folder: Folder,
    terms: Terms,
}

/// A change that is being drawn up.
struct Draft {
    manifest: Manifest,
    /// Private keys that have to lie in the folder first, PEM, each with its kid.
    fresh: Vec<(String, Secret)>,
    /// Which keys it is about.
    about: Vec<String>,
    terms: Terms,
}

pub(super) fn run(options: Options) -> Result<(), Refused> {
    let config = Config::load(&options.config).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Refused::Wrong(format!("{} cannot be used:\n{}", options.config.display(), faults.join("\n")))
    })?;
    let lasts = config.profile.rules().id_token.lifetime + MARGIN;
    let terms = Terms { now: System.now(), lead: PUBLISHED_FOR + MARGIN, lasts };
    let keys = Keys { folder: Folder::at(&config.keys), config, terms };
    match options.command {
        Command::List => keys.list(options.json),
        Command::Show { kid } => keys.show(&kid, options.json),
        Command::ExportJwks => say(&format!("{:#}\n", keys.config.trust.keyring.jwks(terms.now))),
        Command::Generate { alg, how } => keys.change(("generate", how), |draft| draft.generate(alg.alg()).map(drop)),
        Command::Import { file, how } => {
            let pem =
                fs::read_to_string(&file).map_err(|error| Refused::Wrong(format!("{}: {error}", file.display())))?;
            keys.change(("import", how), |draft| {
                draft.add(Secret::new(pem)).map(drop).map_err(|why| format!("{}: {why}", file.display()))
            })
        }
        Command::Rotate { alg, now, how } => keys.change(("rotate", how), |draft| {
            let algs: Vec<Alg> = alg.map_or_else(|| Alg::ALL.to_vec(), |alg| vec![alg.alg()]);
            let signed: Vec<Alg> = algs.into_iter().filter(|alg| draft.signs(*alg)).collect();
            if signed.is_empty() {
                return Err(
                    "nothing is signed like that here; `countersign keys generate` and `promote` begin it".to_owned()
                );
            }
            signed.into_iter().try_for_each(|alg| draft.rotate(alg, haste(now)))
        }),
        Command::Promote { kid, now, how } => keys.change(("promote", how), |draft| draft.promote(&kid, haste(now))),
        Command::Retire { kid, how } => keys.change(("retire", how), |draft| {
            draft.about(&kid)?;
            draft.manifest.retire(&kid, draft.terms)
        }),
        Command::Revoke { kid, how } => keys.change(("revoke", how), |draft| draft.revoke(&kid)),
    }
}

const fn haste(now: bool) -> Haste {
    if now { Haste::AtOnce } else { Haste::InTime }
}

impl Keys {
    fn list(&self, as_json: bool) -> Result<(), Refused> {
        let manifest = self.folder.view().map_err(Refused::Failed)?;
        if as_json {
            return say(&format!("{:#}\n", json(&manifest, self.terms.now)));
        }
        say(&table(&manifest.keys, self.terms.now))?;
        for stray in self.folder.strays(&manifest) {
            eprintln!(
                "{stray} lies there too and is not used; `countersign keys import` takes a copy of it, else remove it"
            );
        }
        Ok(())
    }

    fn show(&self, kid: &str, as_json: bool) -> Result<(), Refused> {
        let manifest = self.folder.view().map_err(Refused::Failed)?;
        let entry = manifest.key(kid).map_err(Refused::Wrong)?;
        let history: Vec<&Deed> = manifest.history.iter().filter(|deed| deed.kid == entry.kid).collect();
        if as_json {
            let mut shown = one(entry, self.terms.now);
            shown["public"] = json!(entry.public);
            shown["history"] = json!(history);
            return say(&format!("{shown:#}\n"));
        }
        let mut text = table(std::slice::from_ref(entry), self.terms.now);
        for Deed { at, by, did, .. } in history {
            text.extend([date(*at).as_str(), "  ", did, "  by ", by, "\n"]);
        }
        say(&format!("{text}{:#}\n", json!(entry.public)))
    }

    /// Draws up a change, shows it, and makes it, unless it is only to be shown.
    fn change(
        &self,
        (did, how): (&str, How),
        steps: impl FnOnce(&mut Draft) -> Result<(), String>,
    ) -> Result<(), Refused> {
        let waiting = || eprintln!("somebody else is changing the keys; waiting for them");
        let locked = if how.dry_run { None } else { Some(self.folder.lock(waiting).map_err(Refused::Failed)?) };
        let before = self.folder.view().map_err(Refused::Failed)?;
        let (manifest, terms) = (before.clone(), self.terms);
        let mut draft = Draft { manifest, fresh: Vec::new(), about: Vec::new(), terms };
        steps(&mut draft).map_err(Refused::Wrong)?;
        let lines = changes(&before, &draft.manifest, terms.now);
        if lines.is_empty() {
            return say("nothing to do: it is under way\n");
        }
        let text = lines.join("\n");
        let Some(locked) = locked else { return say(&format!("{text}\n(nothing was done)\n")) };
        if matches!(did, "retire" | "revoke") && !how.yes {
            confirm(&text)?;
        }
        for (kid, pem) in &draft.fresh {
            locked.keep(kid, pem).map_err(Refused::Failed)?;
        }
        let by = user();
        for kid in &draft.about {
            draft.manifest.note(Deed { at: terms.now, by: by.clone(), did: did.to_owned(), kid: kid.clone() });
        }
        let digest = |manifest: &Manifest| Digest::of(serde_json::to_string(manifest).unwrap_or_default().as_bytes());
        for kid in &draft.about {
            let (before, after) = (digest(&before), digest(&draft.manifest));
            self.record(Event::KeysChanged { by: &by, did, kid, before, after })?;
        }
        locked.put(draft.manifest, terms.now).map_err(Refused::Failed)?;
        say(&format!("{text}\n"))
    }

    /// Where what the server does is recorded, too; without a file, nobody reads a log of ours.
    fn record(&self, event: Event<'_>) -> Result<(), Refused> {
        let Some(path) = &self.config.audit else { return Ok(()) };
        let unwritten =
            |error: &dyn std::fmt::Display| Refused::Failed(format!("{}: {error}; nothing was done", path.display()));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| unwritten(&error))?;
        let audit = Audit::to(path).map_err(|error| unwritten(&error))?;
        runtime.block_on(audit.record(event, self.terms.now)).map_err(|_| unwritten(&"cannot be written"))
    }
}

impl Draft {
    fn signs(&self, alg: Alg) -> bool {
        self.manifest.active(alg, self.terms.now).next().is_some()
    }

    fn about(&mut self, kid: &str) -> Result<(), String> {
        let kid = self.manifest.key(kid)?.kid.clone();
        self.about.push(kid);
        Ok(())
    }

    fn generate(&mut self, alg: Alg) -> Result<String, String> {
        let made = match alg {
            Alg::Es256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            Alg::Ps256 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072),
        };
        self.add(Secret::new(made.map_err(|error| error.to_string())?.serialize_pem()))
    }

    fn add(&mut self, pem: Secret) -> Result<String, String> {
        let entry = entry(pem.reveal(), self.terms.now)?;
        let kid = entry.kid.clone();
        self.manifest.add(entry)?;
        self.fresh.push((kid.clone(), pem));
        self.about.push(kid.clone());
        Ok(kid)
    }

    /// One that is on its way need not be sent again; it may be brought forward.
    fn rotate(&mut self, alg: Alg, haste: Haste) -> Result<(), String> {
        let coming = self.manifest.under_way(alg, self.terms.now).map(|entry| entry.kid.clone());
        let kid = match (coming, haste) {
            (Some(_), Haste::InTime) => return Ok(()),
            (Some(kid), Haste::AtOnce) => kid,
            (None, _) => match self.manifest.waiting(alg, self.terms.now).map(|entry| entry.kid.clone()) {
                Some(kid) => kid,
                None => self.generate(alg)?,
            },
        };
        self.promote(&kid, haste)
    }

    fn promote(&mut self, kid: &str, haste: Haste) -> Result<(), String> {
        self.about(kid)?;
        self.manifest.promote(kid, haste, self.terms)
    }

    /// Somebody has to sign: a new key does, at once, where no other one can.
    fn revoke(&mut self, kid: &str) -> Result<(), String> {
        self.about(kid)?;
        let entry = self.manifest.key(kid)?;
        let alone = Alg::parse(&entry.alg)
            .filter(|alg| self.manifest.active(*alg, self.terms.now).all(|active| active.kid == entry.kid));
        let signs =
            self.manifest.active(alone.unwrap_or(Alg::Es256), self.terms.now).any(|active| active.kid == entry.kid);
        let kid = entry.kid.clone();
        if let Some(alg) = alone.filter(|_| signs) {
            self.rotate(alg, Haste::AtOnce)?;
        }
        self.manifest.revoke(&kid, self.terms)
    }
}

/// Asks whoever sits there.
fn confirm(text: &str) -> Result<(), Refused> {
    if !io::stdin().is_terminal() {
        return Err(Refused::Wrong(
            "nobody can be asked whether that is meant; say --yes, or --dry-run to see what it does".to_owned(),
        ));
    }
    eprint!("{text}\nDo it? [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|error| Refused::Failed(error.to_string()))?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(Refused::Failed("nothing was done".to_owned()))
    }
}

/// The name of whoever runs this, as far as the system tells.
fn user() -> String {
    let uid = fs::metadata("/proc/self").map(|own| own.uid()).ok();
    let Some(uid) = uid else { return "unknown".to_owned() };
    let passwd = fs::read_to_string(Path::new("/etc/passwd")).unwrap_or_default();
    let named = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, id) = (fields.next()?, fields.next()?, fields.next()?);
        (id.parse() == Ok(uid)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("uid {uid}"))
}

fn say(text: &str) -> Result<(), Refused> {
    io::stdout().write_all(text.as_bytes()).map_err(|error| Refused::Failed(error.to_string()))
}
