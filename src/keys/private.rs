//! [`private`]: a private key as it lies on the disk, where nobody reads it who should not.
//!
//! Nobody but its owner may read it. Or root has lent it: it belongs to root, and the one group that may read it is the group that this runs as. That is all a server can be given where it may own
//! nothing, as from a Secret of Kubernetes. Who else can read such a file is whoever else runs as that group; so a group that one is only a member of, which others may be for reasons of their own, does not count.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::secret::Secret;

/// Nothing that a configuration names is larger.
const LARGEST: u64 = 1024 * 1024;

const ROOT: u32 = 0;

/// A user and a group.
type Who = (u32, u32);

/// The text of a private key that nobody else may read, in a file of somebody's own.
///
/// # Errors
/// Others can read it, or it cannot be read.
pub fn private(path: &Path) -> Result<Secret, String> {
    if let Some(why) = exposed(path) {
        return Err(why);
    }
    let text = whole(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    Ok(Secret::new(text))
}

/// The text of a regular file of at most 1 MiB; a pipe or a device could go on for ever.
///
/// # Errors
/// It is something else, or cannot be read.
pub fn whole(path: &Path) -> Result<String, String> {
    let found = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    })?;
    if !found.is_file() || found.len() > LARGEST {
        return Err("it is not a file of at most 1 MiB".to_owned());
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}

/// That others can read the file at `path`, if they can, and what to do about it.
pub fn exposed(path: &Path) -> Option<String> {
    let (own, there) = (fs::metadata("/proc/self").ok(), fs::metadata(path).ok()?);
    let ours = own.map_or((ROOT, ROOT), |own| (own.uid(), own.gid()));
    let of = (there.uid(), there.gid());
    let open = open((there.mode(), of), ours);
    let mend = if of.0 == ROOT && ours.0 != ROOT && ours.1 != ROOT {
        format!("chgrp {} {1}; chmod 440 {1}", ours.1, path.display())
    } else {
        format!("chmod 600 {}", path.display())
    };
    open.then(|| format!("{} can be read by others; run: {mend}", path.display()))
}

/// Whether a file of that mode, of that user and group, is open to others than `ours`.
fn open((mode, (user, group)): (u32, Who), ours: Who) -> bool {
    // Root's group is nobody's own: users without one are often put there.
    let lent = user == ROOT && ours.0 != ROOT && group == ours.1 && group != ROOT;
    mode & if lent { 0o037 } else { 0o077 } != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Who = (65_532, 65_532);

    #[test]
    fn a_key_is_its_owners_alone_or_lent_by_root_to_the_group_that_this_runs_as() {
        for (mode, of, ours) in [
            (0o600, OURS, OURS),
            (0o400, OURS, OURS),
            (0o600, (ROOT, ROOT), (ROOT, ROOT)),
            (0o440, (ROOT, 65_532), OURS),
            (0o640, (ROOT, 65_532), OURS),
            // What cannot be read says so by itself.
            (0o400, (ROOT, ROOT), OURS),
        ] {
            assert!(!open((mode, of), ours), "{mode:o} of {of:?}");
        }
    }

    #[test]
    fn a_key_that_anybody_else_could_read_is_open() {
        for (mode, of, ours) in [
            (0o604, OURS, OURS),
            // Lent by somebody else than root, who could take it back and change it.
            (0o440, (1_000, 65_532), OURS),
            (0o440, OURS, OURS),
            // To another group: others are in it.
            (0o440, (ROOT, 100), OURS),
            (0o440, (ROOT, ROOT), OURS),
            (0o440, (ROOT, ROOT), (65_532, ROOT)),
            // To more than a group, or to more than to read.
            (0o444, (ROOT, 65_532), OURS),
            (0o460, (ROOT, 65_532), OURS),
            (0o450, (ROOT, 65_532), OURS),
            // Root needs nobody to lend it anything.
            (0o440, (ROOT, ROOT), (ROOT, ROOT)),
            (0o440, (ROOT, 65_532), (ROOT, 65_532)),
        ] {
            assert!(open((mode, of), ours), "{mode:o} of {of:?}");
        }
    }
}
