use super::*;

const LIMITS: CallerLimits = CallerLimits {
    requests_per_minute: 60,
    query_seconds_per_minute: 6,
    stream_count_max: 0,
    query_count_max: 0,
};

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[test]
fn a_minute_allows_so_many_requests_and_then_one_at_a_time() {
    let begin = Instant::now();
    let account = Account::new(LIMITS, begin);
    for _ in 0..60 {
        account.request_at(begin).unwrap();
    }
    let reached = account.request_at(begin).unwrap_err();
    assert_eq!(
        (reached.limit, reached.limit_value),
        (CallerLimit::RequestsPerMinute, 60)
    );
    assert!(account.request_at(begin + seconds(0.99)).is_err());
    account.request_at(begin + reached.retry_after).unwrap();
    assert!(account.request_at(begin + reached.retry_after).is_err());
    // No more than a minute's is saved up.
    let later = begin + seconds(3600.0);
    assert_eq!((0..100).filter(|_| account.request_at(later).is_ok()).count(), 60);
}

#[test]
fn queries_are_paid_for_when_they_end() {
    let begin = Instant::now();
    let account = Account::new(LIMITS, begin);
    account.query_at(begin).unwrap();
    // It took twice what was there: what it owes must come in before the next.
    account.end_query(seconds(12.0));
    let reached = account.query_at(begin).unwrap_err();
    assert_eq!(reached.limit, CallerLimit::QuerySecondsPerMinute);
    assert!(account.query_at(begin + seconds(59.9)).is_err());
    account.query_at(begin + reached.retry_after).unwrap();
    // Requests are another matter.
    account.request_at(begin).unwrap();
}

#[test]
fn requests_and_queries_at_once_are_counted_until_they_end() {
    let limits = CallerLimits {
        stream_count_max: 2,
        query_count_max: 1,
        ..CallerLimits::default()
    };
    let accounts = Accounts::new(limits);
    let caller = |name: &str| Caller {
        subject: name.to_owned(),
        roles: Vec::new(),
        credential: Credential::Token,
    };
    let account = accounts.of(&caller("a"), None).unwrap();
    let (first, _second) = (account.begin_request().unwrap(), account.begin_request().unwrap());
    let reached = account.begin_request().unwrap_err();
    assert_eq!(
        reached.to_string(),
        "a caller may have 2 requests at once and no more"
    );
    drop(first);
    drop(account.begin_request().unwrap());
    let query = account.begin_query().unwrap();
    assert_eq!(account.begin_query().unwrap_err().limit, CallerLimit::QueryCount);
    drop(query);
    drop(account.begin_query().unwrap());
    // Another caller has an account of its own; the same one has the same.
    let other = accounts.of(&caller("b"), None).unwrap();
    drop(other.begin_request().unwrap());
    let again = accounts.of(&caller("a"), None).unwrap();
    assert!(Arc::ptr_eq(&account, &again));
    assert_eq!(account.left(), Left::default());
}

#[test]
fn strangers_are_told_apart_by_their_address() {
    let accounts = Accounts::new(LIMITS);
    let of = |address: &str| {
        accounts
            .of(&Caller::anonymous(), Some(address.parse().unwrap()))
            .unwrap()
    };
    assert!(Arc::ptr_eq(&of("10.0.0.1"), &of("::ffff:10.0.0.1")));
    assert!(!Arc::ptr_eq(&of("10.0.0.1"), &of("10.0.0.2")));
    assert!(Arc::ptr_eq(&of("2001:db8::1"), &of("2001:db8::ffff:1")));
    assert!(!Arc::ptr_eq(&of("2001:db8::1"), &of("2001:db8:0:1::1")));
    assert!(Accounts::default().of(&Caller::anonymous(), None).is_none());
}

#[test]
fn accounts_that_owe_nothing_are_forgotten() {
    let accounts = Accounts::new(LIMITS);
    let of = |number: u32| {
        let address = IpAddr::V4(std::net::Ipv4Addr::from_bits(number));
        accounts.of(&Caller::anonymous(), Some(address)).unwrap()
    };
    of(0).end_query(seconds(100.0));
    for number in 0..2 * u32::try_from(ACCOUNT_COUNT_MAX).unwrap() {
        of(number);
    }
    assert!(accounts.known.lock().unwrap().accounts.len() <= ACCOUNT_COUNT_MAX);
    assert!(of(0).query_at(Instant::now()).is_err());
}

#[test]
fn accounts_that_owe_something_are_not_looked_through_for_each_request() {
    let mut known = Known::default();
    let now = Instant::now();
    for number in 0..ACCOUNT_COUNT_MAX {
        let account = Account::new(LIMITS, now);
        account.end_query(seconds(100.0));
        let key = Key::Known(Credential::Token, number.to_string());
        known.accounts.insert(key, Arc::new(account));
    }
    assert!(!known.has_room(now));
    // All of them owe nothing by then, but nobody looks before the time.
    let later = now + LOOK_INTERVAL;
    known.not_before = Some(later + seconds(10_000.0));
    assert!(!known.has_room(later + seconds(9_999.0)));
    assert!(known.has_room(later + seconds(10_000.0)));
    assert!(known.accounts.is_empty() && known.not_before.is_none());
}
