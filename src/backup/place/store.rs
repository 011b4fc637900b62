//! An object store: S3, Google Cloud Storage or Azure Blob Storage, or what speaks as one of them.
//!
//! Its credentials and its endpoint come from the environment alone, and from files that it names. No error tells any of it, nor
//! what the store's answers say, but for a status and a code.

use std::{error::Error as _, fmt, future::Future, io, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, Error, ObjectStore, ObjectStoreExt as _, ObjectStoreScheme, PutMode, RetryConfig,
    aws::AmazonS3Builder, azure::MicrosoftAzureBuilder, gcp::GoogleCloudStorageBuilder, path::Path,
};

use super::{
    Version,
    client::{Connector, Fault},
};
use crate::backup::BackupError;

/// What is repeated, and for how long: a store that throttles, or that is not there for a moment. With the limits of one request
/// (`client.rs`) whatever is asked ends within five minutes, of a store that cannot be reached within one.
fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(10),
            base: 3.0,
        },
        max_retries: 5,
        retry_timeout: Duration::from_mins(1),
    }
}

/// Where in which store.
#[derive(Clone)]
pub(super) struct Store {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl fmt::Debug for Store {
    /// Without what the store is told by: it has credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Reads the URL of a bucket and a prefix, and the environment. Asks nobody.
    pub(super) fn open(url: &str) -> Result<Self, BackupError> {
        let no_place = |what: &str| BackupError::NoPlace(what.to_owned());
        let (_, rest) = url.split_once("://").unwrap_or_default();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // A container of Azure may be told of an account, as in abfss://container@account.dfs.core.windows.net.
        let user = authority.rsplit_once('@').map(|(user, _)| user);
        if rest.contains(['?', '#']) || user.is_some_and(|user| user.contains(':')) {
            return Err(no_place(
                "credentials come from the environment, not with the URL",
            ));
        }
        let parsed = url
            .parse()
            .map_err(|error| BackupError::NoPlace(format!("it is no URL: {error}")))?;
        let unknown = || {
            no_place(
                "it is neither a directory nor an object store: s3://bucket/prefix, gs://bucket/prefix or az://container/prefix",
            )
        };
        let (scheme, prefix) = ObjectStoreScheme::parse(&parsed).map_err(|_| unknown())?;
        if scheme != ObjectStoreScheme::MicrosoftAzure && user.is_some() {
            return Err(no_place(
                "credentials come from the environment, not with the URL",
            ));
        }
        let connector = Connector::new().map_err(BackupError::NoPlace)?;
        let built = match scheme {
            ObjectStoreScheme::AmazonS3 => shared(
                AmazonS3Builder::from_env()
                    .with_url(url)
                    .with_retry(retries())
                    .with_http_connector(connector)
                    .build(),
            ),
            ObjectStoreScheme::GoogleCloudStorage => shared(
                GoogleCloudStorageBuilder::from_env()
                    .with_url(url)
                    .with_retry(retries())
                    .with_http_connector(connector)
                    .build(),
            ),
            ObjectStoreScheme::MicrosoftAzure => shared(
                MicrosoftAzureBuilder::from_env()
                    .with_url(url)
                    .with_retry(retries())
                    .with_http_connector(connector)
                    .build(),
            ),
            _ => return Err(unknown()),
        };
        let objects = built.map_err(|error| BackupError::NoPlace(of_settings(&error)))?;
        Ok(Self::new(objects, prefix))
    }

    pub(super) fn new(objects: Arc<dyn ObjectStore>, prefix: Path) -> Self {
        Self { objects, prefix }
    }

    pub(super) fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), BackupError> {
        let put = run(self.objects.put(&self.path(name), bytes.into()));
        put.map(drop).map_err(|error| fault(name, &error))
    }

    pub(super) fn replace(
        &self,
        name: &str,
        before: Option<&Version>,
        bytes: Vec<u8>,
    ) -> Result<(), BackupError> {
        let mode = match before {
            None => PutMode::Create,
            Some(before) => PutMode::Update(before.clone()),
        };
        let path = self.path(name);
        let put = run(self.objects.put_opts(&path, bytes.clone().into(), mode.into()));
        let Err(error) = put else { return Ok(()) };
        let now = self.get(name);
        if is_unsupported(&error) {
            // As much as can be looked at; docs/back-up-and-restore.md says what is left.
            return match now? {
                now if now.as_ref().map(|(_, version)| version) == before => self.put(name, bytes),
                _ => Err(BackupError::Overtaken),
            };
        }
        // It was written if only the answer was lost: what was repeated then met itself.
        if matches!(&now, Ok(Some((now, _))) if *now == bytes) {
            return Ok(());
        }
        Err(match error {
            Error::Precondition { .. } | Error::AlreadyExists { .. } => BackupError::Overtaken,
            error => fault(name, &error),
        })
    }

    pub(super) fn get(&self, name: &str) -> Result<Option<(Vec<u8>, Version)>, BackupError> {
        let path = self.path(name);
        let got = run(async {
            let got = self.objects.get(&path).await?;
            let version = Version {
                e_tag: got.meta.e_tag.clone(),
                version: got.meta.version.clone(),
            };
            Ok((got.bytes().await?.into(), version))
        });
        match got {
            Ok(got) => Ok(Some(got)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(fault(name, &error)),
        }
    }

    pub(super) fn list(&self, below: &str) -> Result<Vec<String>, BackupError> {
        let path = self.path(below);
        let listed = run(self.objects.list_with_delimiter(Some(&path)));
        let listed = listed.map_err(|error| fault(below, &error))?;
        let names = listed
            .objects
            .iter()
            .filter_map(|object| object.location.filename());
        Ok(names.map(|name| format!("{below}/{name}")).collect())
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), BackupError> {
        run(self.objects.delete(&self.path(name))).map_err(|error| fault(name, &error))
    }

    fn path(&self, name: &str) -> Path {
        let parts = name.split('/');
        parts.fold(self.prefix.clone(), Path::join)
    }
}

fn shared<S: ObjectStore>(built: Result<S, Error>) -> Result<Arc<dyn ObjectStore>, Error> {
    Ok(Arc::new(built?))
}

/// Works on the thread that calls, which may block. The clock of the retries is all that a runtime is needed for.
fn run<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| Error::Generic {
            store: "runtime",
            source: Box::new(error),
        })?;
    runtime.block_on(work)
}

fn fault(name: &str, error: &Error) -> BackupError {
    BackupError::Place {
        file: name.to_owned(),
        error: io::Error::other(what(error)),
    }
}

/// Returns what went wrong, in words that come from here.
fn what(error: &Error) -> String {
    if let Some(fault) = find::<Fault>(error) {
        return fault.to_string();
    }
    match error {
        Error::NotFound { .. } => "the store has no such bucket, or no such object".to_owned(),
        Error::PermissionDenied { .. } => "the credentials do not allow it (HTTP status 403)".to_owned(),
        Error::Unauthenticated { .. } => {
            "the store does not take the credentials (HTTP status 401)".to_owned()
        }
        Error::Precondition { .. } | Error::AlreadyExists { .. } => {
            "another has changed it meanwhile".to_owned()
        }
        error => match find::<io::Error>(error) {
            // A file with credentials, mostly.
            Some(error) => format!("a file or a thread is at fault: {}", error.kind()),
            None => "the store's answer, or its credentials, cannot be used".to_owned(),
        },
    }
}

/// Returns what is wrong with the environment. A parser may quote what it cannot read, which may be a secret.
fn of_settings(error: &Error) -> String {
    match find::<serde_json::Error>(error) {
        Some(_) => "the credentials in the environment, or in the file that it names, are not the JSON that they should be".to_owned(),
        None => format!("the environment does not say how to reach it: {error}"),
    }
}

fn is_unsupported(error: &Error) -> bool {
    matches!(error, Error::NotImplemented { .. } | Error::NotSupported { .. })
        || find::<Fault>(error).is_some_and(Fault::is_unsupported)
}

/// Returns the first error of a type among those that an error comes from.
fn find<E: std::error::Error + 'static>(error: &Error) -> Option<&E> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        source = error.source();
    }
    None
}
