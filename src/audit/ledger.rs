//! [`Ledger`]: where what happens is kept, and how a line gets there.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// As syslog(3) writes it: facility 10 (security and authorization), severity 6 (informational).
const PRIORITY: u32 = 10 * 8 + 6;

/// How long the system's log may take to take a line.
const DEADLINE: Duration = Duration::from_secs(1);

/// Where what happens is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ledger {
    /// In a file, which is made so that only its owner may read it: on the disk.
    File(PathBuf),
    /// In the system's log, behind the socket at this path: with it.
    Syslog(PathBuf),
    /// On standard output: with whoever reads that.
    Output,
    /// On standard error, for commands whose standard output is their answer.
    Error,
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Ledger {
    fn from(path: &P) -> Self {
        Self::File(path.as_ref().to_owned())
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Syslog(path) => write!(f, "the system's log at {}", path.display()),
            Self::Output => f.write_str("standard output"),
            Self::Error => f.write_str("standard error"),
        }
    }
}

/// A place that is open.
pub(super) enum Page {
    File(File),
    Socket(UnixDatagram),
    /// Whether it ends with a whole line.
    Output(bool),
    Error,
}

impl Ledger {
    /// How many lines are kept or lost together: as many as wait, where the disk is waited for; elsewhere each by itself.
    pub(super) const fn most_at_once(&self) -> usize {
        match self {
            Self::File(_) => 1_000,
            Self::Syslog(_) | Self::Output | Self::Error => 1,
        }
    }

    /// Appends `text`, whole lines, and comes back when they are kept.
    pub(super) fn append(&self, page: &mut Option<Page>, text: &[u8]) -> io::Result<()> {
        let written = self.add(page, text);
        // What failed is opened anew; of a stream that is no use, and what it had begun has to be ended.
        if written.is_err() && !matches!(page, Some(Page::Output(_))) {
            *page = None;
        }
        written
    }

    fn add(&self, page: &mut Option<Page>, text: &[u8]) -> io::Result<()> {
        let page = match page {
            Some(page) if !self.is_another(page) => page,
            gone => gone.insert(self.open()?),
        };
        match page {
            Page::File(file) => append(file, text),
            Page::Socket(socket) => send(socket, text),
            Page::Output(whole) => go_on(&mut io::stdout().lock(), whole, text),
            Page::Error => write(io::stderr().lock(), text),
        }
    }

    fn open(&self) -> io::Result<Page> {
        match self {
            Self::File(path) => open(path).map(Page::File),
            Self::Syslog(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_write_timeout(Some(DEADLINE))?;
                Ok(Page::Socket(socket))
            }
            Self::Output => Ok(Page::Output(true)),
            Self::Error => Ok(Page::Error),
        }
    }

    /// Whether a file that was opened is not the one that is there by now: somebody moved it away.
    fn is_another(&self, page: &Page) -> bool {
        let (Self::File(path), Page::File(file)) = (self, page) else { return false };
        let there = std::fs::metadata(path).and_then(|there| Ok((there, file.metadata()?)));
        !there.is_ok_and(|(there, ours)| (there.dev(), there.ino()) == (ours.dev(), ours.ino()))
    }
}

/// Appends `text` to a stream, and before that ends a line that broke off: what follows is whole again.
fn go_on(stream: &mut impl Write, whole: &mut bool, text: &[u8]) -> io::Result<()> {
    if !*whole {
        write(&mut *stream, b"\n")?;
    }
    *whole = false;
    write(stream, text)?;
    *whole = true;
    Ok(())
}

fn write(mut to: impl Write, text: &[u8]) -> io::Result<()> {
    to.write_all(text)?;
    to.flush()
}

/// Sends each line as a message of its own, as syslog(3) does: a priority, who, and the line.
fn send(socket: &UnixDatagram, text: &[u8]) -> io::Result<()> {
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let head = format!("<{PRIORITY}>countersign[{}]: ", std::process::id());
        socket.send(&[head.as_bytes(), line].concat())?;
    }
    Ok(())
}

/// Appends `text` to `file`, all of it or nothing: what was begun is cut off again, so that the next line is a line. It is on the disk when this returns.
fn append(file: &mut File, text: &[u8]) -> io::Result<()> {
    // Another process may write to it, too: an operator's command, for one. What it wrote is not cut off.
    file.lock()?;
    let before = file.metadata()?.len();
    let written = file.write_all(text).and_then(|()| file.sync_data());
    let tidied = if written.is_err() { file.set_len(before) } else { Ok(()) };
    file.unlock()?;
    tidied.and(written)
}

/// Opens the file, and sees to it that it will be found after a power cut. A line that a power cut broke off is ended.
fn open(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().append(true).read(true).create(true).mode(0o600).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    if file.seek(SeekFrom::End(-1)).is_ok() {
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_message_to_the_systems_log_and_a_log_that_is_restarted_is_found_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let ledger = Ledger::Syslog(path.clone());
        let mut page = None;
        ledger.append(&mut page, b"{\"at\":0}\n").expect_err("nobody listens yet");
        let heard = |socket: &UnixDatagram| {
            let mut buffer = [0; 256];
            let length = socket.recv(&mut buffer).expect("a message");
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        let own = format!("<86>countersign[{}]: ", std::process::id());
        let socket = UnixDatagram::bind(&path).expect("bound");
        ledger.append(&mut page, b"{\"at\":1}\n{\"at\":2}\n").expect("somebody listens");
        assert_eq!([heard(&socket), heard(&socket)], [own.clone() + "{\"at\":1}", own.clone() + "{\"at\":2}"]);
        drop(socket);
        std::fs::remove_file(&path).expect("it is there");
        ledger.append(&mut page, b"{\"at\":3}\n").expect_err("it is gone");
        let socket = UnixDatagram::bind(&path).expect("bound");
        ledger.append(&mut None, b"{\"at\":4}\n").expect("somebody listens again");
        assert_eq!(heard(&socket), own + "{\"at\":4}");
    }

    /// A stream with room for so many bytes.
    struct Narrow(Vec<u8>, usize);

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.1.saturating_sub(self.0.len()).min(bytes.len());
            self.0.extend_from_slice(&bytes[..room]);
            if room == 0 && !bytes.is_empty() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(room) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn on_a_stream_a_line_that_broke_off_is_ended_and_the_next_one_is_whole() {
        let (mut stream, mut whole) = (Narrow(Vec::new(), 12), true);
        go_on(&mut stream, &mut whole, b"{\"at\":1}\n").expect("there is room");
        go_on(&mut stream, &mut whole, b"{\"at\":2}\n").expect_err("there is room for a part of it");
        go_on(&mut stream, &mut whole, b"{\"at\":3}\n").expect_err("there is none");
        stream.1 = 100;
        go_on(&mut stream, &mut whole, b"{\"at\":4}\n").expect("there is room again");
        go_on(&mut stream, &mut whole, b"{\"at\":5}\n").expect("there is room");
        assert_eq!(String::from_utf8_lossy(&stream.0), "{\"at\":1}\n{\"a\n{\"at\":4}\n{\"at\":5}\n");
    }
}
