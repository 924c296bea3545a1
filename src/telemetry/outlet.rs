//! [`Outlet`]: log lines on their way out. A thread of its own writes them, so that whoever does not read them holds up nobody; what does not fit into memory
//! meanwhile, or cannot be written, is lost and counted. Lines that wait leave together, but no more than a pipe takes in one piece.
//!
//! `tracing-appender` would do most of it: but where its queue is full at the end it speaks on standard output, where records of what happened may go, and
//! waits for that; and it does not count what cannot be written.

use std::io::{self, ErrorKind, Write};
use std::iter::once;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread::{Builder, sleep};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use crate::clock::Stopwatch;

/// How many lines may wait.
const LINES: usize = 16_384;

/// How many bytes leave at once, of lines that are no longer: what Linux puts into a pipe in one piece (PIPE_BUF).
const TOGETHER: usize = 4_096;

/// How long the thread rests when all that waited is written: what is logged meanwhile then wakes nobody, and leaves together.
const REST: Duration = Duration::from_millis(10);

/// Where lines go.
#[derive(Clone)]
pub struct Outlet {
    queue: SyncSender<Message>,
    lost: Arc<AtomicUsize>,
}

enum Message {
    Line(Vec<u8>),
    /// Whoever asks is told when all before it is written.
    Flush(Sender<()>),
}

impl Outlet {
    /// One that leads to `out`, from a thread of its own.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn to(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, waiting) = sync_channel(LINES);
        let outlet = Self { queue, lost: Arc::default() };
        let batch = Batch { out, bytes: Vec::with_capacity(TOGETHER), torn: false, lost: outlet.lost.clone() };
        Builder::new().name("log".into()).spawn(move || batch.write(&waiting))?;
        Ok(outlet)
    }

    /// How many lines were lost so far.
    pub(super) fn lost(&self) -> usize {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until all that was logged before is written, but no longer than this.
    pub fn flush(&self, at_most: Duration) {
        let began = Stopwatch::start();
        let (says, written) = channel();
        let mut asked = Message::Flush(says);
        while let Err(TrySendError::Full(again)) = self.queue.try_send(asked) {
            if began.elapsed() > at_most {
                return;
            }
            sleep(REST);
            asked = again;
        }
        written.recv_timeout(at_most.saturating_sub(began.elapsed())).ok();
    }
}

impl Write for &Outlet {
    /// A line, in one piece.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Message::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Outlet {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

/// Lines that leave together.
struct Batch<W> {
    out: W,
    bytes: Vec<u8>,
    /// Whether the last line that left did so in part.
    torn: bool,
    lost: Arc<AtomicUsize>,
}

impl<W: Write> Batch<W> {
    fn write(mut self, waiting: &Receiver<Message>) {
        while let Ok(first) = waiting.recv() {
            for message in once(first).chain(waiting.try_iter()) {
                match message {
                    Message::Line(line) => {
                        if self.bytes.len() + line.len() > TOGETHER {
                            self.leave();
                        }
                        self.bytes.extend(line);
                    }
                    Message::Flush(says) => {
                        self.leave();
                        says.send(()).ok();
                    }
                }
            }
            self.leave();
            sleep(REST);
        }
    }

    fn leave(&mut self) {
        // What comes after half a line begins a line of its own.
        if self.torn && !self.bytes.is_empty() && put(&mut self.out, b"\n") == 1 {
            self.torn = false;
        }
        let left = if self.torn { 0 } else { put(&mut self.out, &self.bytes) };
        let ends = |bytes: &[u8]| bytes.split(|byte| *byte == b'\n').count() - 1;
        self.lost.fetch_add(ends(&self.bytes[left..]), Ordering::Relaxed);
        self.torn |= self.bytes[..left].last().is_some_and(|last| *last != b'\n');
        self.bytes.clear();
    }
}

/// Writes `bytes`, and says how many: all, but where that is an error. Where it would have to wait for whoever reads, it does: another process may have said
/// that nobody waits there.
fn put(out: &mut impl Write, bytes: &[u8]) -> usize {
    let mut left = 0;
    while left < bytes.len() {
        match out.write(&bytes[left..]) {
            Ok(0) => break,
            Ok(written) => left += written,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(REST),
            Err(_) => break,
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_mins(1);

    /// Says what is written, and does with it what it is told.
    struct Held(Sender<Vec<u8>>, Receiver<io::Result<usize>>);

    impl Write for Held {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            let told = self.1.recv().map_err(io::Error::other)?;
            told.map(|most| most.min(bytes.len()))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Reader {
        written: Receiver<Vec<u8>>,
        tells: Sender<io::Result<usize>>,
    }

    impl Reader {
        fn sees(&self, lines: &[Vec<u8>]) {
            assert_eq!(self.written.recv_timeout(PATIENCE).expect("it is written"), lines.concat());
        }

        fn takes(&self, most: io::Result<usize>) {
            self.tells.send(most).expect("it waits");
        }
    }

    fn open() -> (Outlet, Reader) {
        let ((says, written), (tells, told)) = (channel(), channel());
        (Outlet::to(Held(says, told)).expect("a thread"), Reader { written, tells })
    }

    fn lines(numbers: std::ops::Range<usize>) -> Vec<Vec<u8>> {
        numbers.map(|n| format!("{n:0>99}\n").into_bytes()).collect()
    }

    fn log(mut outlet: &Outlet, lines: &[Vec<u8>]) {
        for line in lines {
            outlet.write_all(line).expect("it takes any");
        }
    }

    #[test]
    fn lines_that_wait_leave_together_and_whole() {
        let (outlet, reader) = open();
        let lines = lines(0..61);
        log(&outlet, &lines[..1]);
        reader.sees(&lines[..1]);
        log(&outlet, &lines[1..]);
        for more in [&lines[1..41], &lines[41..]] {
            reader.takes(Ok(TOGETHER));
            reader.sees(more);
        }
        reader.takes(Ok(TOGETHER));
        outlet.flush(PATIENCE);
        assert!(reader.written.try_recv().is_err(), "that was all");
        assert_eq!(outlet.lost(), 0);
    }

    #[test]
    fn what_is_not_taken_at_once_is_offered_again() {
        let (outlet, reader) = open();
        let lines = lines(0..1);
        log(&outlet, &lines);
        reader.sees(&lines);
        for told in [Ok(40), Err(ErrorKind::WouldBlock.into()), Err(ErrorKind::Interrupted.into())] {
            reader.takes(told);
            reader.sees(&[lines[0][40..].to_vec()]);
        }
        reader.takes(Ok(TOGETHER));
        outlet.flush(PATIENCE);
        assert_eq!(outlet.lost(), 0);
    }

    #[test]
    fn after_half_a_line_comes_a_new_one() {
        let (outlet, reader) = open();
        let lines = lines(0..4);
        log(&outlet, &lines[..1]);
        reader.sees(&lines[..1]);
        log(&outlet, &lines[1..3]);
        reader.takes(Ok(TOGETHER));
        reader.sees(&lines[1..3]);
        reader.takes(Ok(140));
        reader.sees(&[lines[2][40..].to_vec()]);
        reader.takes(Err(ErrorKind::StorageFull.into()));
        log(&outlet, &lines[3..]);
        reader.sees(&[b"\n".to_vec()]);
        reader.takes(Ok(TOGETHER));
        reader.sees(&lines[3..]);
        reader.takes(Ok(TOGETHER));
        outlet.flush(PATIENCE);
        assert_eq!(outlet.lost(), 1, "the one that was cut");
    }

    #[test]
    fn what_cannot_be_written_or_does_not_fit_is_counted() {
        let (outlet, reader) = open();
        log(&outlet, &lines(0..1));
        reader.sees(&lines(0..1));
        log(&outlet, &lines(1..3));
        reader.takes(Err(ErrorKind::BrokenPipe.into()));
        reader.sees(&lines(1..3));
        assert_eq!(outlet.lost(), 1);
        log(&outlet, &lines(0..LINES + 7));
        assert_eq!(outlet.lost(), 1 + 7);
        outlet.flush(Duration::ZERO);
        reader.takes(Ok(0));
        reader.written.recv_timeout(PATIENCE).expect("it goes on");
        assert_eq!(outlet.lost(), 1 + 7 + 2);
    }
}
