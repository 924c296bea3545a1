//! What the commands by which an operator changes something have in common: being asked, being named, being recorded.

use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::ExitCode;

use tokio::runtime::Builder;

use crate::audit::ledger::Ledger;
use crate::audit::{Audit, Event};
use crate::clock::{Clock as _, System};
use crate::config::Config;
use crate::config::reader::Fault;

/// Why nothing was done.
#[derive(Debug)]
pub(super) enum Refused {
    /// The configuration, or what was asked for, is wrong.
    Wrong(String),
    /// It could not be done.
    Failed(String),
}

impl Refused {
    pub(super) fn failed(why: &impl ToString) -> Self {
        Self::Failed(why.to_string())
    }
}

/// How something is done.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct How {
    /// Say what would happen, and when, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,
}

/// How a command ends.
pub(super) fn ended(command: &str, outcome: Result<(), Refused>) -> ExitCode {
    let (why, code) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Refused::Wrong(why)) => (why, ExitCode::from(2)),
        Err(Refused::Failed(why)) => (why, ExitCode::FAILURE),
    };
    eprintln!("countersign {command}: {why}");
    code
}

/// The configuration, whose faults are told as `check` tells them.
pub(super) fn load(path: &Path) -> Result<Config, Refused> {
    Config::load(path).map_err(|faults| unusable(path, &faults))
}

pub(super) fn unusable(path: &Path, faults: &[Fault]) -> Refused {
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Refused::Wrong(format!("{} cannot be used:\n{}", path.display(), faults.join("\n")))
}

/// Asks whoever sits there.
pub(super) fn confirm(text: &str) -> Result<(), Refused> {
    if !io::stdin().is_terminal() {
        return Err(Refused::Wrong(
            "nobody can be asked whether that is meant; say --yes, or --dry-run to see what it does".to_owned(),
        ));
    }
    eprint!("{text}\nDo it? [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|error| Refused::failed(&error))?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(Refused::Failed("nothing was done".to_owned()))
    }
}

/// The name of whoever runs this, as far as the system tells.
pub(super) fn user() -> String {
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

/// Prints `text`. Who has read enough, as `head` does, is no fault.
pub(super) fn say(text: &str) -> Result<(), Refused> {
    match io::stdout().lock().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Refused::failed(&error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes sure that what this leaves at `path` is the server's to read: whoever runs this owns what is there, or the folder that it will be in.
pub(super) fn own(path: &Path) -> Result<(), Refused> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let there = fs::metadata(path).or_else(|_| fs::metadata(folder)).map(|meta| meta.uid());
    let ours = fs::metadata("/proc/self").map(|own| own.uid());
    owned((there.ok(), ours.ok())).map_err(|uid| {
        let says = "belongs to another user, who could not read what this writes; run it as that user, as with sudo -u";
        Refused::Wrong(format!("{}: {says} '#{uid}'", path.display()))
    })
}

/// Whether what belongs to `there` belongs to `ours`; the other one, if not.
fn owned((there, ours): (Option<u32>, Option<u32>)) -> Result<(), u32> {
    match (there, ours) {
        (Some(there), Some(ours)) if there != ours => Err(there),
        _ => Ok(()),
    }
}

/// Does `what` by the name of `did`, after `events` were recorded at `audit`, where what the server does is recorded, too; without a place, nobody reads a log of ours. Where it fails, that is recorded as well.
pub(super) fn recorded<T>(
    (audit, by, did): (Option<&Ledger>, &str, &str),
    events: &[Event<'_>],
    what: impl FnOnce() -> Result<T, Refused>,
) -> Result<T, Refused> {
    record(audit, events)?;
    what().inspect_err(|_| {
        if let Err(Refused::Wrong(why) | Refused::Failed(why)) = record(audit, &[Event::NotDone { by, did }]) {
            eprintln!("that it was not done could not be recorded: {why}");
        }
    })
}

fn record(audit: Option<&Ledger>, events: &[Event<'_>]) -> Result<(), Refused> {
    let Some(ledger) = audit else { return Ok(()) };
    let now = System.now();
    if let Ledger::File(path) = ledger {
        own(path)?;
    }
    // Standard output is the answer of a command.
    let ledger = if *ledger == Ledger::Output { Ledger::Error } else { ledger.clone() };
    let unwritten = |error: &dyn std::fmt::Display| Refused::Failed(format!("{ledger}: {error}; nothing was done"));
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| unwritten(&error))?;
    let audit = Audit::to(ledger.clone()).map_err(|error| unwritten(&error))?;
    for event in events {
        runtime.block_on(audit.record(*event, None, now)).map_err(|_| unwritten(&"cannot be written"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_another_user_is_left_alone() {
        assert_eq!(owned((Some(1_000), Some(1_000))), Ok(()));
        assert_eq!(owned((Some(1_000), Some(0))), Err(1_000), "not even root's files would be the server's to read");
        assert_eq!(owned((None, Some(0))), Ok(()), "it is not there, and whoever writes it will say so");
    }
}
