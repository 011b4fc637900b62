//! The log's way to standard error, which somebody else may read slowly or not at all: nobody who says something waits for that.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender, SyncSender},
    },
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// Bytes of lines that wait to be read; one more is lost.
const BYTES_MAX: usize = 1 << 20;
/// How long the end of the process waits for lines to be read.
const END_MAX: Duration = Duration::from_millis(100);

static LOST_LINE_COUNT: AtomicU64 = AtomicU64::new(0);

/// Returns how many lines of the log were lost, since nobody read those before them or they could not be written.
pub fn lost_line_count() -> u64 {
    LOST_LINE_COUNT.load(Ordering::Relaxed)
}

enum Message {
    Line(Vec<u8>),
    /// Whoever sends it waits for all before it.
    End(SyncSender<()>),
}

/// Takes lines. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    queue: Sender<Message>,
    waiting_bytes: Arc<AtomicUsize>,
}

impl Lines {
    /// Starts to write lines somewhere, on a thread of its own.
    pub(super) fn to(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, lines) = mpsc::channel();
        let waiting_bytes = Arc::<AtomicUsize>::default();
        let waiting = Arc::clone(&waiting_bytes);
        let thread = thread::Builder::new().name("dossier-log".to_owned());
        thread.spawn(move || write(&lines, &waiting, out))?;
        Ok(Self { queue, waiting_bytes })
    }

    /// Returns what waits for the lines, as long as it may, when it is dropped.
    pub(super) fn end(&self) -> End {
        End(self.clone())
    }
}

fn write(lines: &Receiver<Message>, waiting_bytes: &AtomicUsize, mut out: impl Write) {
    while let Ok(message) = lines.recv() {
        match message {
            Message::Line(line) => {
                // There is nowhere to tell of it but the counts.
                if out.write_all(&line).is_err() {
                    LOST_LINE_COUNT.fetch_add(1, Ordering::Relaxed);
                }
                waiting_bytes.fetch_sub(line.len(), Ordering::Relaxed);
            }
            // An error says that it is no longer waited for.
            Message::End(end) => drop(end.try_send(())),
        }
    }
}

impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let more = |waiting: usize| {
            let bytes = waiting.checked_add(line.len())?;
            (bytes <= BYTES_MAX).then_some(bytes)
        };
        let has_room = self
            .waiting_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok();
        if !has_room || self.queue.send(Message::Line(line.to_vec())).is_err() {
            LOST_LINE_COUNT.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Lines {
    type Writer = &'w Self;

    fn make_writer(&'w self) -> &'w Self {
        self
    }
}

/// Waits for the lines that were said before it is dropped, but not for long.
#[derive(Debug)]
pub(super) struct End(Lines);

impl Drop for End {
    fn drop(&mut self) {
        let (end, written) = mpsc::sync_channel(1);
        if self.0.queue.send(Message::End(end)).is_ok() {
            // Late or not, it is over.
            let _ = written.recv_timeout(END_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc::RecvTimeoutError};

    use super::*;

    /// Takes nothing until it is let.
    struct Pipe {
        go_on: Receiver<()>,
        took: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Its sender is dropped.
            assert_eq!(
                self.go_on.recv_timeout(Duration::from_mins(1)),
                Err(RecvTimeoutError::Disconnected)
            );
            self.took.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Its reader has gone.
    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_a_reader_and_what_is_lost_is_counted() {
        const LINE: [u8; 1 << 10] = [b'x'; 1 << 10];
        let (read, go_on) = mpsc::channel();
        let took = Arc::<Mutex<_>>::default();
        let pipe = Pipe {
            go_on,
            took: Arc::clone(&took),
        };
        let lines = Lines::to(pipe).unwrap();
        let line_count_max = BYTES_MAX / LINE.len();
        let before = lost_line_count();
        for _ in 0..line_count_max {
            (&lines).write_all(&LINE).unwrap();
        }
        assert_eq!(lost_line_count(), before);
        for _ in 0..3 {
            (&lines).write_all(&LINE).unwrap();
        }
        assert_eq!(lost_line_count(), before + 3);
        // Nor does the end.
        drop(lines.end());
        assert!(took.lock().unwrap().is_empty());
        drop(read);
        let (end, written) = mpsc::sync_channel(1);
        lines.queue.send(Message::End(end)).unwrap();
        written.recv_timeout(Duration::from_mins(1)).unwrap();
        assert_eq!(took.lock().unwrap().len(), line_count_max * LINE.len());
        (&lines).write_all(&LINE).unwrap();
        assert_eq!(lost_line_count(), before + 3);
        // Nobody will ever read what goes to a broken pipe.
        let lines = Lines::to(Broken).unwrap();
        for _ in 0..2 {
            (&lines).write_all(&LINE).unwrap();
        }
        let (end, written) = mpsc::sync_channel(1);
        lines.queue.send(Message::End(end)).unwrap();
        written.recv_timeout(Duration::from_mins(1)).unwrap();
        assert_eq!(lost_line_count(), before + 5);
    }
}
