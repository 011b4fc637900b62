//! Who calls, and how much of it, as statuses.

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{error_info, no_role, status};
use crate::{
    auth::{AuthError, CallerLimitReached, Lapse},
    proto::v1::ErrorReason,
};

/// Returns `UNAUTHENTICATED`. What is wrong with credentials is not told.
pub fn unauthenticated(error: AuthError) -> Status {
    status(
        Code::Unauthenticated,
        credentials_reason(error),
        error.to_string(),
        [],
    )
}

/// Returns what the caller of a stream hears that may not go on.
pub fn lapsed(lapse: Lapse) -> Status {
    match lapse {
        Lapse::Credentials(error) => unauthenticated(error),
        Lapse::NoRole => no_role(),
        Lapse::AccessReduced => status(
            Code::PermissionDenied,
            ErrorReason::AccessReduced,
            lapse.to_string(),
            [],
        ),
    }
}

/// Returns `RESOURCE_EXHAUSTED` for a caller that has had what one may have.
pub fn caller_limit_reached(reached: CallerLimitReached) -> Status {
    let metadata = [
        ("limit", reached.limit.name().to_owned()),
        ("limit_value", reached.limit_value.to_string()),
    ];
    let mut details = error_info(ErrorReason::CallerLimitReached, metadata);
    details.set_retry_info(Some(reached.retry_after));
    Status::with_error_details(Code::ResourceExhausted, reached.to_string(), details)
}

impl From<CallerLimitReached> for Status {
    fn from(reached: CallerLimitReached) -> Self {
        caller_limit_reached(reached)
    }
}

/// Returns the reason that a stranger hears.
pub fn credentials_reason(error: AuthError) -> ErrorReason {
    match error {
        AuthError::Missing => ErrorReason::CredentialsMissing,
        AuthError::Invalid(_) => ErrorReason::CredentialsInvalid,
        AuthError::Expired => ErrorReason::CredentialsExpired,
        AuthError::NotYetValid => ErrorReason::CredentialsNotYetValid,
        AuthError::Unverifiable => ErrorReason::CredentialsUnverifiable,
    }
}
