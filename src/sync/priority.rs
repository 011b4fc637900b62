//! Which threads go first where processors are short.

/// How much a thread gives way to those of the usual priority (setpriority(2), sched(7)).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Niceness {
    /// Gets a quarter of a processor that another thread wants: work that no caller waits for, but which must not fall behind.
    Background,
    /// Gets a tenth of it: work of seconds, behind which a lookup of microseconds would wait.
    Query,
}

impl Niceness {
    const fn value(self) -> i32 {
        match self {
            Self::Background => 5,
            Self::Query => 10,
        }
    }

    /// Has the calling thread, and no other, give way from now on. One that gives way more already stays as it is.
    pub fn set(self) {
        // All threads of a schedule are one of the system's.
        #[cfg(all(target_os = "linux", not(feature = "schedules")))]
        {
            use rustix::process::{getpriority_process, setpriority_process};
            let set = getpriority_process(None)
                .and_then(|niceness| setpriority_process(None, niceness.max(self.value())));
            if let Err(error) = set {
                tracing::warn!(%error, "a thread for {self:?} has the priority of lookups");
            }
        }
        #[cfg(not(all(target_os = "linux", not(feature = "schedules"))))]
        let _ = self.value();
    }
}

#[cfg(test)]
#[cfg(all(target_os = "linux", not(feature = "schedules")))]
mod tests {
    use super::*;

    #[test]
    fn the_calling_thread_alone_gives_way() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        for (class, expected) in [(Niceness::Background, 5), (Niceness::Query, 10)] {
            let thread = std::thread::spawn(move || {
                class.set();
                niceness()
            });
            assert_eq!(thread.join().unwrap(), before.max(expected));
        }
        assert_eq!(niceness(), before);
    }
}
