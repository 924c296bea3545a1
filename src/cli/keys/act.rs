//! What each `countersign keys` command does: look, or draw up a change, show it, record it and put it in force.

use std::path::{Path, PathBuf};

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::json;

use crate::audit::Event;
use crate::audit::ledger::Ledger;
use crate::cli::keys::shown::{changes, json, one, table};
use crate::cli::keys::{Command, Options};
use crate::cli::operator::{How, Refused, confirm, load, own, recorded, say, unusable, user};
use crate::cli::shown::{date, plain};
use crate::clock::{Clock as _, System};
use crate::config::{Config, OfKeys};
use crate::http::routes::PUBLISHED_FOR;
use crate::jose::alg::Alg;
use crate::keys::change::{Haste, Terms};
use crate::keys::folder::{self, Folder, entry};
use crate::keys::private::private;
use crate::keys::{Deed, Entry, Manifest};
use crate::secret::Secret;

/// How long a server may take to notice that the folder has changed, and how far clocks may be apart, in seconds.
const MARGIN: u32 = 60;

/// How long an ID token lives at most, whatever the profile says now: it may have said more before. In seconds, as the floor has it.
const LONGEST: u32 = 3_600;

/// The terms of this moment.
fn terms() -> Terms {
    Terms { now: System.now(), lead: PUBLISHED_FOR + MARGIN, lasts: LONGEST + MARGIN }
}

/// The folder, and what there is to know of it.
struct Keys {
    /// Where the configuration is.
    path: PathBuf,
    audit: Option<Ledger>,
    folder: Folder,
    json: bool,
}

/// A change that is being drawn up.
struct Draft {
    manifest: Manifest,
    /// Private keys that have to lie in the folder first, PEM, each with its kid.
    fresh: Vec<(String, Secret)>,
    terms: Terms,
}

/// Whether somebody has to be asked first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Care {
    Free,
    Asks,
}

pub(super) fn run(options: Options) -> Result<(), Refused> {
    let OfKeys { folder, audit } =
        OfKeys::load(&options.config).map_err(|faults| unusable(&options.config, &faults))?;
    let folder = folder.where_it_is().map_err(Refused::Failed)?;
    let keys = Keys { path: options.config, audit, folder, json: options.json };
    match options.command {
        Command::List => keys.list(),
        Command::Show { kid } => keys.show(&kid),
        Command::ExportJwks => say(&format!("{:#}\n", load(&keys.path)?.trust.keyring.jwks(System.now()))),
        Command::Generate { alg, how } => {
            keys.change(("generate", Care::Free, how), |draft| draft.generate(alg.alg()).map(drop))
        }
        Command::Import { file, how } => keys.import(&file, how),
        Command::Rotate { alg, now, how } => keys.change(("rotate", care(now), how), |draft| {
            let algs: Vec<Alg> = alg.map_or_else(|| Alg::ALL.to_vec(), |alg| vec![alg.alg()]);
            let signed: Vec<Alg> = algs.into_iter().filter(|alg| draft.signs(*alg)).collect();
            if signed.is_empty() {
                return Err(
                    "nothing is signed like that here; `countersign keys generate` and `promote` begin it".to_owned()
                );
            }
            signed.into_iter().try_for_each(|alg| draft.rotate(alg, haste(now)))
        }),
        Command::Promote { kid, now, how } => {
            keys.change(("promote", care(now), how), |draft| draft.manifest.promote(&kid, haste(now), draft.terms))
        }
        Command::Retire { kid, how } => {
            keys.change(("retire", Care::Asks, how), |draft| draft.manifest.retire(&kid, draft.terms))
        }
        Command::Revoke { kid, how } => keys.change(("revoke", Care::Asks, how), |draft| draft.revoke(&kid)),
    }
}

const fn haste(now: bool) -> Haste {
    if now { Haste::AtOnce } else { Haste::InTime }
}

/// Verifiers that know the keys by heart cannot verify a key that signs at once.
const fn care(now: bool) -> Care {
    if now { Care::Asks } else { Care::Free }
}

impl Keys {
    fn list(&self) -> Result<(), Refused> {
        let (manifest, now) = (self.folder.view().map_err(Refused::Wrong)?, System.now());
        let text = if self.json { format!("{:#}\n", json(&manifest, now)) } else { table(&manifest.keys, now) };
        say(&text)?;
        for stray in self.folder.strays(&manifest) {
            eprintln!(
                "{} lies there too and is not used; `countersign keys import` takes a copy of it, else remove it",
                plain(&stray)
            );
        }
        self.is_whole()
    }

    fn show(&self, kid: &str) -> Result<(), Refused> {
        let (manifest, now) = (self.folder.view().map_err(Refused::Wrong)?, System.now());
        let entry = manifest.key(kid).map_err(Refused::Wrong)?;
        let history: Vec<&Deed> = manifest.history.iter().filter(|deed| deed.kid == entry.kid).collect();
        if self.json {
            let mut shown = one(entry, now);
            shown["public"] = json!(entry.public);
            shown["history"] = json!(history);
            return say(&format!("{shown:#}\n"));
        }
        let mut text = table(std::slice::from_ref(entry), now);
        for Deed { at, by, did, .. } in history {
            text.extend([date(*at).as_str(), "  ", did, "  by ", by, "\n"]);
        }
        say(&format!("{text}{:#}\n", json!(entry.public)))
    }

    fn import(&self, file: &Path, how: How) -> Result<(), Refused> {
        let pem = private(file).map_err(Refused::Wrong)?;
        self.change(("import", Care::Free, how), |draft| {
            let taken = draft.add(Secret::new(pem.reveal().to_owned()));
            taken.map(drop).map_err(|why| format!("{}: {why}", file.display()))
        })
    }

    /// Whether a server could use the folder.
    fn is_whole(&self) -> Result<(), Refused> {
        self.folder.contents().map(drop).map_err(|faults| Refused::Wrong(faults.join("\n")))
    }

    /// Draws up a change, shows it, and makes it, unless it is only to be shown. What is asked about is drawn up anew once nobody else can change the folder: it may take a while to answer.
    fn change(
        &self,
        (did, care, how): (&str, Care, How),
        steps: impl Fn(&mut Draft) -> Result<(), String>,
    ) -> Result<(), Refused> {
        // What is given up may be broken, and where nothing is, nothing is.
        let empty = self.folder.view().is_ok_and(|manifest| manifest.keys.is_empty());
        if !empty && !matches!(did, "retire" | "revoke") {
            self.is_whole()?;
        }
        let draw_up = || -> Result<(Manifest, Draft), Refused> {
            let before = self.folder.view().map_err(Refused::Wrong)?;
            let mut draft = Draft { manifest: before.clone(), fresh: Vec::new(), terms: terms() };
            steps(&mut draft).map_err(Refused::Wrong)?;
            Ok((before, draft))
        };
        if how.dry_run || (care == Care::Asks && !how.yes) {
            let (before, draft) = draw_up()?;
            let nothing = touched(&before, &draft.manifest).next().is_none();
            if how.dry_run || nothing {
                return self.tell((&before, &draft), true);
            }
            confirm(&changes(&before, &draft.manifest, draft.terms.now).join("\n"))?;
        }
        own(self.folder.path())?;
        let waiting = || eprintln!("somebody else is changing the keys; waiting for them");
        let locked = self.folder.lock(waiting).map_err(Refused::Failed)?;
        let (before, mut draft) = draw_up()?;
        let (now, by) = (draft.terms.now, user());
        let kids: Vec<String> = touched(&before, &draft.manifest).map(|entry| entry.kid.clone()).collect();
        if kids.is_empty() {
            return self.tell((&before, &draft), false);
        }
        for kid in &kids {
            draft.manifest.note(Deed { at: now, by: by.clone(), did: did.to_owned(), kid: kid.clone() });
        }
        let after = folder::Draft::of(draft.manifest.clone(), now);
        let digests = (folder::digest(&before), after.digest());
        let event = |kid| Event::KeysChanged { by: &by, did, kid, before: digests.0, after: digests.1 };
        let events: Vec<Event<'_>> = kids.iter().map(|kid| event(kid.as_str())).collect();
        recorded((self.audit.as_ref(), &by, did), &events, || {
            let put = || -> Result<(), String> {
                if !draft.fresh.is_empty() {
                    // Where nothing says which key signs, a key more would be one too many.
                    locked.begin(&before)?;
                }
                draft.fresh.iter().try_for_each(|(kid, pem)| locked.keep(kid, pem))?;
                locked.put(after)
            };
            put().map_err(Refused::Failed)
        })?;
        self.tell((&before, &draft), false)?;
        if let Err(faults) = Config::load(&self.path) {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            eprintln!("a server that runs takes this only when the configuration is mended:\n{}", faults.join("\n"));
        }
        Ok(())
    }

    /// Says what a change does, or would.
    fn tell(&self, (before, draft): (&Manifest, &Draft), dry_run: bool) -> Result<(), Refused> {
        let now = draft.terms.now;
        if self.json {
            let keys: Vec<_> = touched(before, &draft.manifest).map(|entry| one(entry, now)).collect();
            return say(&format!("{:#}\n", json!({"changed": keys, "dry_run": dry_run})));
        }
        let lines = changes(before, &draft.manifest, now);
        if lines.is_empty() {
            return say("nothing to do: it is under way\n");
        }
        let done = if dry_run { "\n(nothing was done)" } else { "" };
        say(&format!("{}{done}\n", lines.join("\n")))
    }
}

/// The keys that are new in `after`, or have other times than `before`.
fn touched<'a>(before: &'a Manifest, after: &'a Manifest) -> impl Iterator<Item = &'a Entry> {
    let same = |entry: &Entry| before.keys.iter().any(|was| was.kid == entry.kid && was.life == entry.life);
    after.keys.iter().filter(move |entry| !same(entry))
}

impl Draft {
    fn signs(&self, alg: Alg) -> bool {
        self.manifest.active(alg, self.terms.now).next().is_some()
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
        let (kid, first) = (entry.kid.clone(), self.manifest.keys.is_empty());
        self.manifest.add(entry)?;
        if first {
            // Nobody knows any key by heart yet.
            self.manifest.promote(&kid, Haste::AtOnce, self.terms)?;
        }
        self.fresh.push((kid.clone(), pem));
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
        self.manifest.promote(&kid, haste, self.terms)
    }

    /// Somebody has to sign: a new key does, at once, where no other one can.
    fn revoke(&mut self, kid: &str) -> Result<(), String> {
        let entry = self.manifest.key(kid)?;
        let (kid, alg) = (entry.kid.clone(), Alg::parse(&entry.alg));
        let signing = |alg: &Alg| {
            let mut active = self.manifest.active(*alg, self.terms.now).map(|entry| entry.kid.as_str());
            active.next() == Some(&kid) && active.next().is_none()
        };
        if let Some(alg) = alg.filter(signing) {
            self.rotate(alg, Haste::AtOnce)?;
        }
        self.manifest.revoke(&kid, self.terms)
    }
}
