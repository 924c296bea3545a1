//! [`Place`]: the folder that everything goes to which a server, its clients and the suite have to know.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::fault::Fault;

/// One that somebody named, which stays; or one of its own, which is gone afterwards.
pub(crate) struct Place {
    path: PathBuf,
    own: Option<TempDir>,
}

impl Place {
    /// The folder that was named, made if need be; without one, a new one.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn open(named: Option<&Path>) -> Result<Self, Fault> {
        let Some(named) = named else {
            let own = tempfile::Builder::new().prefix("conformance-").tempdir()?;
            return Ok(Self { path: own.path().to_owned(), own: Some(own) });
        };
        let made = fs::create_dir_all(named).and_then(|()| named.canonicalize());
        Ok(Self { path: made.map_err(|error| format!("--folder {}: {error}", named.display()))?, own: None })
    }

    /// Where it is, from the root on.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        fs::read_dir(&self.path).is_ok_and(|mut entries| entries.next().is_none())
    }

    /// Has it stay in any case.
    pub(crate) fn keep(&mut self) {
        if let Some(own) = &mut self.own {
            own.disable_cleanup(true);
        }
    }
}

/// Writes a file that anybody may read.
///
/// # Errors
/// It cannot be written.
pub(crate) fn write(path: &Path, content: &str) -> Result<(), Fault> {
    written(path, (content, 0o644))
}

/// Writes a file that only its owner may read, from now on if it was there.
///
/// # Errors
/// It cannot be written.
pub(crate) fn write_secret(path: &Path, content: &str) -> Result<(), Fault> {
    written(path, (content, 0o600))
}

fn written(path: &Path, (content, mode): (&str, u32)) -> Result<(), Fault> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path);
    let written = file.and_then(|mut file| {
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(content.as_bytes())
    });
    written.map_err(|error| format!("{}: {error}", path.display()).into())
}
