//! What each `countersign clients` command does.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::slice;

use serde_json::{Value, json};

use crate::audit::Event;
use crate::cli::clients::shown::{Known, table};
use crate::cli::clients::{Command, Options};
use crate::cli::desk::{Desk, now, unread};
use crate::cli::operator::{How, Refused, confirm, load, say};
use crate::cli::shown::plain;
use crate::config::Config;
use crate::config::store::Storage;
use crate::endpoint::register::registered;
use crate::profile::Profile;
use crate::profile::client::Client;
use crate::profile::enrolled::Enrolled;
use crate::profile::enrolment::{self, Unfit};
use crate::profile::registration::{LARGEST, completed};
use crate::secret::{Digest, Secret, System};
use crate::store::Store;
use crate::store::administration::Found;
use crate::wire::json::{self, Object};

/// The largest file that is read.
const LARGEST_FILE: u64 = 64 << 20;

pub(super) fn run(options: Options) -> Result<(), Refused> {
    let Options { config: path, json, login, command } = options;
    let config = load(&path)?;
    let desk = |config| Desk::of(config, &path, &login);
    match command {
        Command::List => list((config, desk), json),
        Command::Show { client_id } => show((config, desk), &client_id, json),
        Command::Add { file, how } => add(&desk(config)?, &file, (how, json)),
        Command::Import { file, how } => import(&desk(config)?, &file, (how, json)),
        Command::Disable { client_id, how } => {
            change((config, desk), (&client_id, Change::Disable), (how, json, &path))
        }
        Command::Enable { client_id, how } => change((config, desk), (&client_id, Change::Enable), (how, json, &path)),
        Command::Remove { client_id, how } => change((config, desk), (&client_id, Change::Remove), (how, json, &path)),
    }
}

fn configured(config: &Config) -> Vec<Known> {
    let members = |client: &Client| config.registrations.get(&client.client_id).cloned().unwrap_or_default();
    let known = |client: &Client, in_service| Known::Configured(client.clone(), members(client), in_service);
    let in_service = config.clients.iter().map(|client| known(client, true));
    in_service.chain(config.disabled.iter().map(|client| known(client, false))).collect()
}

fn list((config, desk): (Config, impl FnOnce(Config) -> Result<Desk, Refused>), as_json: bool) -> Result<(), Refused> {
    let (mut clients, profile) = (configured(&config), config.profile.clone());
    let mut left = Vec::new();
    if matches!(config.storage, Storage::Memory(_)) {
        eprintln!("store.kind is memory: who registered with its server, that server alone knows");
    } else {
        let Found { these, unread } = desk(config)?.ask(Store::enrolled_clients)?;
        clients.extend(these.into_iter().map(Known::Enrolled));
        left = unread;
    }
    tell(&clients, &profile, as_json)?;
    unread(&left)
}

fn tell(clients: &[Known], profile: &Profile, as_json: bool) -> Result<(), Refused> {
    if as_json {
        let all: Vec<Value> = clients.iter().map(|client| client.json(profile)).collect();
        return say(&format!("{:#}\n", json!({"clients": all})));
    }
    say(&table(clients, profile))
}

fn show(
    (config, desk): (Config, impl FnOnce(Config) -> Result<Desk, Refused>),
    client_id: &str,
    as_json: bool,
) -> Result<(), Refused> {
    let profile = config.profile.clone();
    let found = match configured(&config).into_iter().find(|client| client.client_id() == client_id) {
        Some(found) => found,
        None if matches!(config.storage, Storage::Memory(_)) => return Err(unknown(client_id)),
        None => {
            let registration = desk(config)?.ask(|store| store.registration(client_id))?;
            Known::Enrolled(registration.ok_or_else(|| unknown(client_id))?)
        }
    };
    let shown = found.json(&profile);
    if as_json {
        return say(&format!("{shown:#}\n"));
    }
    let members = &shown["registration"]["members"];
    say(&format!("{}{members:#}\n", table(slice::from_ref(&found), &profile)))
}

fn unknown(client_id: &str) -> Refused {
    Refused::Wrong(format!("there is no client {}; `countersign clients list` shows them", plain(client_id)))
}

fn read(file: &Path) -> Result<Vec<u8>, Refused> {
    let mut text = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().take(LARGEST_FILE + 1).read_to_end(&mut text)
    } else {
        fs::File::open(file).and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut text))
    };
    let wrong = |why: &dyn std::fmt::Display| Refused::Wrong(format!("{}: {why}", file.display()));
    match read {
        Err(error) => Err(wrong(&error)),
        Ok(length) if length as u64 > LARGEST_FILE => Err(wrong(&"is larger than 64 MiB")),
        Ok(_) => Ok(text),
    }
}

fn add(desk: &Desk, file: &Path, (how, as_json): (How, bool)) -> Result<(), Refused> {
    let wrong = |why: &dyn std::fmt::Display| Refused::Wrong(format!("{}: {why}", file.display()));
    let given = json::object(&read(file)?).map_err(|why| wrong(&why))?;
    let profile = &desk.config.profile;
    let members = completed((given, &Object::new()), profile);
    let (client_id, token) = (Secret::draw(&System), Secret::draw(&System));
    let enrolled = Enrolled::new(client_id.reveal().to_owned(), token.digest(), (members, Object::new()), now());
    fits(&enrolled, desk).map_err(|why| wrong(&why))?;
    if how.dry_run {
        return would(&[Known::Enrolled(enrolled)], profile, as_json);
    }
    keep(desk, slice::from_ref(&enrolled), "add")?;
    let id = enrolled.client_id.clone();
    let answer = serde_json::to_string_pretty(&registered(profile, enrolled, token));
    say(&format!("{}\n", answer.map_err(|error| Refused::failed(&error))?)).map_err(|refused| match refused {
        Refused::Wrong(why) | Refused::Failed(why) => Refused::Failed(format!(
            "{id} is registered, but its registration access token could not be printed ({why}) and is lost; remove it and add it again"
        )),
    })
}

/// What would be registered.
fn would(clients: &[Known], profile: &Profile, as_json: bool) -> Result<(), Refused> {
    tell(clients, profile, as_json)?;
    if as_json { Ok(()) } else { say("(nothing was done)\n") }
}

/// Every member that does not fit, a line each.
fn fits(enrolled: &Enrolled, desk: &Desk) -> Result<(), String> {
    if Value::Object(enrolled.members.clone()).to_string().len() > LARGEST {
        return Err("the metadata is larger than 16 KiB".to_owned());
    }
    enrolment::ciba(&enrolled.client_id, &enrolled.members, &desk.config.profile).map(drop).map_err(|unfit| {
        let says = |Unfit { member, says }: &Unfit| plain(&format!("{member}: {says}"));
        unfit.iter().map(says).collect::<Vec<_>>().join("\n")
    })
}

fn import(desk: &Desk, file: &Path, (how, as_json): (How, bool)) -> Result<(), Refused> {
    let wrong = |why: &dyn std::fmt::Display| Refused::Wrong(plain(&format!("{}: {why}", file.display())));
    let listed: Value = serde_json::from_slice(&read(file)?).map_err(|why| wrong(&why))?;
    let entries = listed["clients"].as_array().ok_or_else(|| wrong(&"is not what `clients list --json` prints"))?;
    let of_a_store = entries.iter().filter(|entry| entry["registered"] != "configuration");
    let registrations: Vec<&Value> = of_a_store.filter_map(|entry| entry.get("registration")).collect();
    if registrations.is_empty() {
        return Err(wrong(&"has no client of a store in it"));
    }
    let (mut fresh, mut ids) = (Vec::new(), HashSet::new());
    for registration in registrations {
        let enrolled: Enrolled = serde_json::from_value(registration.clone()).map_err(|why| wrong(&why))?;
        let id = &enrolled.client_id;
        if !Secret::new(id.clone()).could_be_drawn() {
            return Err(wrong(&format!("{id}: is no id that is drawn here; put that client into the configuration")));
        }
        if enrolled.issued_at > now() || enrolled.issued_at.seconds() < 0 {
            return Err(wrong(&format!("{id}: issued_at is no time of the past")));
        }
        fits(&enrolled, desk).map_err(|why| wrong(&format!("{id}: {why}")))?;
        if !ids.insert(id.clone()) {
            return Err(wrong(&format!("{id} is in it twice")));
        }
        match desk.ask(|store| store.registration(id))? {
            None => fresh.push(enrolled),
            Some(there) if digest(&there) == digest(&enrolled) => {}
            Some(_) => return Err(wrong(&format!("{id} is registered here already, and otherwise"))),
        }
    }
    let known = ids.len() - fresh.len();
    if known > 0 {
        eprintln!("{known} are there already");
    }
    let shown: Vec<Known> = fresh.iter().cloned().map(Known::Enrolled).collect();
    if how.dry_run {
        return would(&shown, &desk.config.profile, as_json);
    }
    keep(desk, &fresh, "import")?;
    tell(&shown, &desk.config.profile, as_json)
}

/// Records that they are registered, and registers them.
fn keep(desk: &Desk, clients: &[Enrolled], did: &str) -> Result<(), Refused> {
    for (done, enrolled) in clients.iter().enumerate() {
        if done > 0 && done % 1_000 == 0 {
            eprintln!("{done} of {}", clients.len());
        }
        let (client_id, after) = (enrolled.client_id.as_str(), Some(digest(enrolled)));
        let event = Event::ClientChanged { by: &desk.by, did, client_id, before: None, after };
        let kept = desk.recorded(did, event, || desk.ask(|store| store.enrol(enrolled)));
        kept.map_err(|refused| match refused {
            Refused::Failed(why) if clients.len() > 1 => Refused::Failed(format!(
                "{why}; {done} of {} are registered, and the same command registers the rest",
                clients.len()
            )),
            refused => refused,
        })?;
    }
    Ok(())
}

/// What becomes of a client of the store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Disable,
    Enable,
    Remove,
}

impl Change {
    const fn did(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Remove => "remove",
        }
    }

    /// Whether it is disabled then; nothing, where it is gone.
    const fn disabled(self) -> Option<bool> {
        match self {
            Self::Disable => Some(true),
            Self::Enable => Some(false),
            Self::Remove => None,
        }
    }

    const fn says(self) -> &'static str {
        match self {
            Self::Disable => {
                "is refused at every endpoint from now on; what it was given is held back until it is enabled"
            }
            Self::Enable => "is in service again, and what it was given is good again",
            Self::Remove => "is forgotten for good, and what it was given is dead",
        }
    }
}

/// Takes a client of the store out of service or back, or forgets it.
fn change(
    (config, desk): (Config, impl FnOnce(Config) -> Result<Desk, Refused>),
    (client_id, change): (&str, Change),
    (how, as_json, path): (How, bool, &Path),
) -> Result<(), Refused> {
    if configured(&config).iter().any(|client| client.client_id() == client_id) {
        return Err(Refused::Wrong(format!(
            "{client_id} is registered in {}: `disabled = true` in its entry takes it out of service, and a running server notices within a second or two",
            path.display()
        )));
    }
    let desk = desk(config)?;
    let before = desk.ask(|store| store.registration(client_id))?.ok_or_else(|| unknown(client_id))?;
    let name = plain(before.members.get("client_name").and_then(Value::as_str).unwrap_or_default());
    let disabled = change.disabled();
    let done = disabled == Some(before.disabled);
    let text = match disabled {
        Some(disabled) if done => {
            format!(
                "nothing to do: {client_id} ({name}) is {} already",
                if disabled { "disabled" } else { "in service" }
            )
        }
        _ => format!("{client_id} ({name}) {}", change.says()),
    };
    if !done && !how.dry_run {
        if change != Change::Enable && !how.yes {
            confirm(&text)?;
        }
        let digests =
            (Some(digest(&before)), disabled.map(|disabled| digest(&Enrolled { disabled, ..before.clone() })));
        let (was, after) = digests;
        let event = Event::ClientChanged { by: &desk.by, did: change.did(), client_id, before: was, after };
        desk.recorded(change.did(), event, || {
            if desk.ask(|store| store.administer(&before, disabled, now()))? {
                return Ok(());
            }
            let says = "has changed its registration meanwhile; nothing was done, look at it and say it again";
            Err(Refused::Failed(format!("{client_id} ({name}) {says}")))
        })?;
    }
    if as_json {
        let (did, changed) = (change.did(), !done && !how.dry_run);
        return say(&format!(
            "{:#}\n",
            json!({"client_id": client_id, "did": did, "changed": changed, "dry_run": how.dry_run})
        ));
    }
    say(&format!("{text}\n{}", if how.dry_run { "(nothing was done)\n" } else { "" }))
}

fn digest(enrolled: &Enrolled) -> Digest {
    Digest::of(json!(enrolled).to_string().as_bytes())
}
