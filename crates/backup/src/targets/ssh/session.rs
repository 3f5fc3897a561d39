//! A running `ssh` and what is said over it. A watchdog ends it when nothing moves: a call waits for bytes, never for a clock.

use crate::targets::frames::{self, FrameError, GREETING, Message, TEXT_BYTES_MAX, VERSION, cleaned};
use rustix::process::{Pid, Signal};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// The last bytes of what `ssh` complains of that are kept.
const COMPLAINT_BYTES_MAX: usize = 2000;

/// How long an `ssh` that failed may take to say why.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A connection over which the receiver has answered.
pub(super) struct Session {
    child: Child,
    to: Option<BufWriter<ChildStdin>>,
    from: BufReader<ChildStdout>,
    watch: Arc<Watch>,
    guard: Option<JoinHandle<()>>,
    complaint: Arc<Mutex<Vec<u8>>>,
    listener: Option<JoinHandle<()>>,
    prune: bool,
    abandoned: bool,
}

impl Session {
    /// Starts `ssh` and greets the receiver.
    pub(super) fn start(mut command: Command, stall: Duration) -> Result<Self, String> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: what it starts goes with it.
        command.process_group(0);
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = command.spawn().map_err(|error| format!("`{program}` cannot be run: {error}"))?;
        let (Some(to), Some(from), Some(said)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
            return Err(format!("`{program}` has no pipes"));
        };
        let complaint = Arc::new(Mutex::new(Vec::new()));
        let listener = Some(std::thread::spawn({
            let complaint = Arc::clone(&complaint);
            move || listen(said, &complaint)
        }));
        let watch = Arc::new(Watch::default());
        let guard = Some(std::thread::spawn({
            let (watch, group) = (Arc::clone(&watch), Pid::from_child(&child));
            move || watch.guard(group, stall)
        }));
        let mut session = Self {
            child,
            to: Some(BufWriter::new(to)),
            from: BufReader::new(from),
            watch,
            guard,
            complaint,
            listener,
            prune: false,
            abandoned: false,
        };
        session.set_busy(true);
        session.greet().map_err(|error| session.explain(&error))?;
        session.set_busy(false);
        Ok(session)
    }

    fn greet(&mut self) -> Result<(), FrameError> {
        if let Some(to) = &mut self.to {
            to.write_all(GREETING)?;
        }
        self.say(&Message::Hello { oldest: VERSION, newest: VERSION })?;
        let mut greeting = [0; GREETING.len()];
        if let Err(error) = self.from.read_exact(&mut greeting) {
            return Err(if error.kind() == io::ErrorKind::UnexpectedEof { FrameError::Closed } else { error.into() });
        }
        if greeting != *GREETING {
            return Err(FrameError::Malformed(
                "it is no receiver: set `command=\"tacet backup receive --append-only DIR\",restrict` for this key, and let its shell print nothing",
            ));
        }
        match self.hear()? {
            Message::Welcome { version: VERSION, prune } => {
                self.prune = prune;
                Ok(())
            }
            _ => Err(FrameError::Malformed("it speaks another version: bring the older program up to date")),
        }
    }

    /// Whether the receiver was started for removing.
    pub(super) fn prunes(&self) -> bool {
        self.prune
    }

    /// Sends a message on its way; it may stay in a buffer.
    pub(super) fn send(&mut self, message: &Message) -> Result<(), FrameError> {
        let to = self.to.as_mut().ok_or(FrameError::Closed)?;
        frames::write(to, message)?;
        self.watch.moved();
        Ok(())
    }

    /// Sends what is in the buffer.
    pub(super) fn flush(&mut self) -> Result<(), FrameError> {
        Ok(self.to.as_mut().ok_or(FrameError::Closed)?.flush()?)
    }

    /// Sends a message at once.
    pub(super) fn say(&mut self, message: &Message) -> Result<(), FrameError> {
        self.send(message)?;
        self.flush()
    }

    /// Waits for the next message.
    pub(super) fn hear(&mut self) -> Result<Message, FrameError> {
        if self.abandoned {
            return Err(FrameError::Closed);
        }
        let message = frames::read(&mut self.from)?;
        self.watch.moved();
        Ok(message)
    }

    /// Gives the connection up: the next one who wants to use it finds it closed.
    pub(super) fn abandon(&mut self) {
        self.abandoned = true;
        self.to = None;
    }

    /// Whether something is expected to move.
    pub(super) fn set_busy(&self, busy: bool) {
        self.watch.set_busy(busy);
    }

    /// An error in words, with what `ssh` had to say about it.
    pub(super) fn explain(&mut self, error: &FrameError) -> String {
        if self.watch.stalled() {
            return "nothing moved for too long, and the connection was given up: is the network slow, or the other machine busy?".to_owned();
        }
        // It says why before it goes, but perhaps not before its pipe is seen closed.
        self.to = None;
        self.watch.wait_for(LAST_WORDS, || self.listener.as_ref().is_none_or(JoinHandle::is_finished));
        let complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        let said = String::from_utf8_lossy(&complaint);
        match said.trim() {
            "" => error.to_string(),
            // What stands last is why it went.
            said => {
                let first = said.len().saturating_sub(TEXT_BYTES_MAX);
                let last = said.get(said.ceil_char_boundary(first)..).unwrap_or_default();
                format!("{error}; ssh said: {}", cleaned(&last.replace(['\r', '\n'], " ")))
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The watchdog first: the process it would end must not be another's by then.
        self.watch.stop();
        if let Some(guard) = self.guard.take() {
            let _ = guard.join();
        }
        self.to = None;
        // All that counts was acknowledged. What is left of it has nothing more to do.
        let _ = rustix::process::kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Keeps the last words of a pipe, until it is closed.
fn listen(mut said: ChildStderr, complaint: &Mutex<Vec<u8>>) {
    let mut piece = [0; 512];
    while let Ok(read) = said.read(&mut piece) {
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else { return };
        let mut kept = complaint.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(bytes);
        let extra = kept.len().saturating_sub(COMPLAINT_BYTES_MAX);
        kept.drain(..extra);
    }
}

/// Sees whether anything moves.
#[derive(Default)]
struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    busy: bool,
    moves: u64,
    stopped: bool,
    stalled: bool,
}

impl Watch {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn moved(&self) {
        self.with(|state| state.moves += 1);
    }

    fn set_busy(&self, busy: bool) {
        self.with(|state| {
            state.busy = busy;
            state.moves += 1;
        });
    }

    fn stalled(&self) -> bool {
        self.with(|state| state.stalled)
    }

    fn stop(&self) {
        self.with(|state| state.stopped = true);
        self.changed.notify_all();
    }

    /// Waits until something is so, or for this long; it is looked at now and then.
    fn wait_for(&self, most: Duration, so: impl Fn() -> bool) {
        let step = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        while waited < most && !so() {
            std::thread::sleep(step);
            waited += step;
        }
    }

    /// Ends the group of processes when it is busy and nothing moves between two looks.
    fn guard(&self, group: Pid, stall: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = None;
        while !state.stopped {
            let waited = self.changed.wait_timeout(state, stall).unwrap_or_else(PoisonError::into_inner);
            state = waited.0;
            if !waited.1.timed_out() || state.stopped {
                continue;
            }
            if state.busy && seen == Some(state.moves) {
                state.stalled = true;
                let _ = rustix::process::kill_process_group(group, Signal::KILL);
                return;
            }
            seen = Some(state.moves);
        }
    }
}
