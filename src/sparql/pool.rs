//! Threads for queries.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread::{Builder, JoinHandle},
};

use crate::sync::Niceness;

/// Address space of a query thread's stack; memory is taken only as deep as a query recurses.
const STACK_BYTES: usize = 256 << 20;

type Job = Box<dyn FnOnce() + Send>;

/// A job was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PoolError {
    /// Every thread is busy, and as many jobs wait as may.
    #[error("{job_count_max} queries are running or waiting already")]
    Overloaded {
        /// How many may run or wait.
        job_count_max: usize,
    },
    /// The pool takes no more jobs.
    #[error("the server is shutting down")]
    Closed,
}

/// A fixed number of threads with large stacks, and a bounded number of jobs that wait for one; any more are refused at once.
///
/// They give way to other threads where processors are short: a lookup takes microseconds, and would wait behind queries of seconds.
/// A job's place is free only when its thread is.
#[derive(Debug)]
pub struct QueryPool {
    /// Dropped before `jobs`, whose end is theirs: glibc reads the memory of a thread that ends just while it is detached.
    threads: Mutex<Vec<JoinHandle<()>>>,
    jobs: Mutex<Option<Sender<Job>>>,
    /// Jobs that run or wait.
    admitted: Arc<AtomicUsize>,
    job_count_max: usize,
}

impl QueryPool {
    /// Starts `thread_count` threads, for which up to `waiting_count_max` jobs may wait.
    pub fn start(thread_count: usize, waiting_count_max: usize) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        let threads = (0..thread_count)
            .map(|number| {
                let queue = Arc::clone(&queue);
                Builder::new()
                    .name(format!("query-{number}"))
                    .stack_size(STACK_BYTES)
                    .spawn(move || {
                        Niceness::Query.set();
                        work(&queue);
                    })
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self {
            threads: Mutex::new(threads),
            jobs: Mutex::new(Some(jobs)),
            admitted: Arc::default(),
            job_count_max: thread_count.saturating_add(waiting_count_max),
        })
    }

    /// Runs a job on a thread of its own. A job that panics is dropped, its thread lives on.
    pub fn submit(&self, job: impl FnOnce() + Send + 'static) -> Result<(), PoolError> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = jobs.as_ref().ok_or(PoolError::Closed)?;
        if self.admitted.fetch_add(1, Ordering::AcqRel) >= self.job_count_max {
            self.admitted.fetch_sub(1, Ordering::AcqRel);
            return Err(PoolError::Overloaded {
                job_count_max: self.job_count_max,
            });
        }
        let place = Place(Arc::clone(&self.admitted));
        sender
            .send(Box::new(move || {
                let _place = place;
                job();
            }))
            .map_err(|_| PoolError::Closed)
    }

    /// Returns how many jobs run or wait.
    pub fn job_count(&self) -> usize {
        self.admitted.load(Ordering::Acquire)
    }

    /// Takes no more jobs and waits for those that run. Interrupt them first.
    pub fn close(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // Its panics were caught.
            let _ = thread.join();
        }
    }
}

/// A job's place; free again when it is dropped.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else {
            return;
        };
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a query panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_job_more_than_may_wait_is_refused() {
        let pool = QueryPool::start(2, 1).unwrap();
        let (started, starts) = mpsc::channel();
        let mut ends = Vec::new();
        for _ in 0..2 {
            let (end, ended) = mpsc::channel::<()>();
            let started = started.clone();
            ends.push(end);
            pool.submit(move || {
                started.send(()).unwrap();
                let _ = ended.recv();
            })
            .unwrap();
        }
        starts.recv().unwrap();
        starts.recv().unwrap();
        let (waited, waits) = mpsc::channel();
        pool.submit(move || waited.send(()).unwrap()).unwrap();
        assert!(waits.try_recv().is_err(), "a job has run without a thread");
        assert_eq!(
            pool.submit(|| ()),
            Err(PoolError::Overloaded { job_count_max: 3 })
        );
        drop(ends.pop());
        waits.recv().unwrap();
        while pool.job_count() > 1 {
            std::thread::yield_now();
        }
        let (done, dones) = mpsc::channel();
        pool.submit(move || done.send(()).unwrap()).unwrap();
        dones.recv().unwrap();
        drop(ends);
        pool.close();
        assert_eq!(pool.submit(|| ()), Err(PoolError::Closed));
        assert_eq!(pool.job_count(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn its_threads_alone_give_way() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        let pool = QueryPool::start(1, 0).unwrap();
        let (told, tells) = mpsc::channel();
        pool.submit(move || told.send(niceness()).unwrap()).unwrap();
        assert_eq!(tells.recv().unwrap(), before.max(10));
        assert_eq!(niceness(), before);
        pool.close();
    }

    #[test]
    fn a_panic_frees_the_place_and_keeps_the_thread() {
        let pool = QueryPool::start(1, 0).unwrap();
        pool.submit(|| panic!("on purpose")).unwrap();
        while pool.job_count() > 0 {
            std::thread::yield_now();
        }
        let (done, dones) = mpsc::channel();
        pool.submit(move || done.send(()).unwrap()).unwrap();
        dones.recv().unwrap();
        pool.close();
    }
}
