//! [`Look`]: what a file that the configuration names looks like, so that whoever comes later can tell whether it is another one by now.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A file or a folder, as it was before it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Where in the configuration it is named; empty for the configuration itself.
    pub key: String,
    path: PathBuf,
    own: Stamp,
    /// What is in it, if it is a folder, in order.
    inside: Vec<(PathBuf, Stamp)>,
}

/// Device, inode, when it was last changed in any way (seconds and nanoseconds), and length; nothing, where there is none. A change of rights is one, too.
type Stamp = Option<(u64, u64, i64, i64, u64)>;

impl Look {
    /// Looks at `path`, which is named at `key`.
    pub fn at(key: String, path: &Path) -> Self {
        let entries = fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
        let mut inside: Vec<_> = entries.map(|entry| entry.path()).map(|path| (path.clone(), stamp(&path))).collect();
        inside.sort();
        Self { key, path: path.to_owned(), own: stamp(path), inside }
    }

    /// Looks there once more.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::at(self.key.clone(), &self.path)
    }
}

fn stamp(path: &Path) -> Stamp {
    let meta = fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino(), meta.ctime(), meta.ctime_nsec(), meta.len()))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn whatever_becomes_of_a_file_shows() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let look = || Look::at("key".to_owned(), &path);
        let mut before = look();
        assert_eq!(before, before.again());
        let mut changes = |what: &str, change: &dyn Fn()| {
            // The clock of a file system may stand still for some milliseconds.
            std::thread::sleep(std::time::Duration::from_millis(30));
            change();
            assert_ne!(before.again(), before, "{what}");
            before = look();
        };
        changes("it is there", &|| fs::write(&path, "one").expect("written"));
        changes("as long as before", &|| fs::write(&path, "two").expect("written"));
        changes("its rights", &|| fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("it is ours"));
        changes("another in its place", &|| {
            fs::write(folder.path().join("new"), "two").expect("written");
            fs::rename(folder.path().join("new"), &path).expect("renamed");
        });
        changes("a link", &|| {
            fs::write(folder.path().join("elsewhere"), "two").expect("written");
            fs::remove_file(&path).expect("there");
            symlink(folder.path().join("elsewhere"), &path).expect("linked");
        });
        changes("what it leads to", &|| fs::write(folder.path().join("elsewhere"), "six").expect("written"));
        changes("it is gone", &|| fs::remove_file(&path).expect("there"));
        changes("a folder", &|| fs::create_dir(&path).expect("made"));
        changes("something in it", &|| fs::write(path.join("inside"), "").expect("written"));
        changes("what is in it is another", &|| fs::write(path.join("inside"), "x").expect("written"));
    }
}
