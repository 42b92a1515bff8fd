use ca_service::span::SpanOrOff;
use proptest::prelude::*;

use super::*;

const START: u64 = 1_800_000_000;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix(START + seconds).unwrap()
}

const USUAL: Usual =
    Usual { validity: Span::days(7), interval: Span::days(1), after_revocation: Some(Span::seconds(5)) };

fn weekly() -> Schedule {
    ScheduleFile::default().check(USUAL).unwrap()
}

fn file(validity: Span, interval: Span) -> ScheduleFile {
    ScheduleFile { validity: Some(validity), interval: Some(interval), ..ScheduleFile::default() }
}

#[test]
fn defaults_of_overlap_and_margin() {
    assert_eq!((weekly().overlap, weekly().margin), (Span::hours(12), Span::hours(6)));
    let day = ScheduleFile { backdate: Some(Span::seconds(0)), ..file(Span::hours(24), Span::hours(22)) };
    assert_eq!(day.check(USUAL).unwrap().overlap, Span::hours(2));
    let root = file(Span::days(360), Span::days(90)).check(USUAL).unwrap();
    assert_eq!(root.overlap, Span::hours(12));
    let tight = ScheduleFile {
        after_revocation: Some(SpanOrOff(None)),
        ..file(Span::seconds(60), Span::seconds(10))
    };
    let tight = tight.check(USUAL).unwrap();
    assert_eq!((tight.backdate, tight.overlap), (Span::seconds(12), Span::seconds(6)));
}

#[test]
fn what_the_norm_does_not_allow() {
    let beyond = |file: ScheduleFile| file.check(USUAL).unwrap().beyond_norm().unwrap_or_default();
    assert_eq!(beyond(ScheduleFile::default()), "");
    assert_eq!(beyond(file(Span::days(10), Span::days(7))), "");
    assert!(beyond(file(Span::days(11), Span::days(7))).contains("valid for 11d"));
    assert!(beyond(file(Span::days(10), Span::days(8))).contains("8d pass"));
    let monthly =
        ScheduleFile { at: Some("0 4 1 * *".into()), interval: None, ..file(Span::days(40), USUAL.interval) };
    assert!(beyond(monthly).contains("valid for 40d"));
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |change: fn(&mut ScheduleFile), what: &str| {
        let mut file = file(Span::hours(24), Span::hours(12));
        file.backdate = Some(Span::minutes(5));
        assert!(file.check(USUAL).is_ok());
        change(&mut file);
        let error = file.check(USUAL).unwrap_err();
        assert!(error.contains(what), "{error}");
    };
    refused(|file| file.interval = Some(Span::hours(24)), "shorter than the validity");
    refused(|file| file.interval = Some(Span::hours(0)), "shorter than the validity");
    refused(|file| file.overlap = Some(Span::hours(13)), "at most 12h");
    refused(|file| file.overlap = Some(Span::hours(12)), "no room");
    refused(|file| file.after_revocation = Some(SpanOrOff(Some(Span::hours(13)))), "write off");
    refused(|file| file.validity = Some(Span::days(400)), "366d");
    refused(|file| file.jitter = Some(Span::hours(12)), "jitter");
    refused(
        |file| (file.jitter, file.overlap) = (Some(Span::hours(2)), Some(Span::hours(11))),
        "at most 10h",
    );
    refused(|file| file.min_interval = Some(Span::hours(13)), "min_interval");
    refused(|file| (file.overlap, file.margin) = (Some(Span::hours(2)), Some(Span::hours(3))), "margin");
    refused(|file| file.at = Some("0 3 * * *".into()), "one of both");
    refused(|file| file.time_zone = Some("Europe/Berlin".into()), "belongs to at");
    // Once a day, and a CRL for a day: on the day with 25 hours there would be none.
    refused(|file| (file.interval, file.at) = (None, Some("0 3 * * *".into())), "at: up to 1d");
}

#[test]
fn due_at_the_start_by_interval_by_overlap_and_after_a_change() {
    let schedule = weekly();
    let last = schedule.window(at(0));
    assert_eq!(last.next_update.seconds_since(last.this_update), 7 * 86_400);
    assert_eq!(schedule.due(None, None, at(0)), at(0));
    assert_eq!(schedule.due(Some(last), None, at(10)), at(86_400));
    assert_eq!(schedule.due(Some(last), Some(at(100)), at(100)), at(105));
    // A change just before the schedule does not put it off.
    assert_eq!(schedule.due(Some(last), Some(at(86_399)), at(86_399)), at(86_400));
    // An old CRL with another, shorter life is replaced in time.
    let short = Window { next_update: at(13 * 3_600), ..last };
    assert_eq!(schedule.due(Some(short), None, at(10)), at(3_600));
    let off = Schedule { after_revocation: None, ..schedule };
    assert_eq!(off.due(Some(last), Some(at(100)), at(100)), at(86_400));
}

#[test]
fn changes_in_a_row_keep_a_distance() {
    let file = ScheduleFile { min_interval: Some(Span::minutes(10)), ..ScheduleFile::default() };
    let schedule = file.check(USUAL).unwrap();
    let last = schedule.window(at(0));
    assert_eq!(schedule.due(Some(last), Some(at(3)), at(3)), at(600));
    assert_eq!(schedule.due(Some(last), Some(at(700)), at(700)), at(705));
}

#[test]
fn fixed_times_and_what_was_missed() {
    let file = ScheduleFile {
        at: Some("30 2 * * *".into()),
        time_zone: Some("Europe/Berlin".into()),
        ..ScheduleFile::default()
    };
    let schedule = file.check(USUAL).unwrap();
    let time = |text| Timestamp::parse(text).unwrap();
    let last = schedule.window(time("2026-11-27T12:00:00Z"));
    let due = schedule.due(Some(last), None, time("2026-11-27T12:00:01Z"));
    assert_eq!(due, time("2026-11-28T01:30:00Z"));
    // Asleep for three days: at once, and then at the usual time again.
    let awake = time("2026-11-30T17:00:00Z");
    assert!(schedule.due(Some(last), None, awake) <= awake);
    assert_eq!(schedule.due(Some(schedule.window(awake)), None, awake), time("2026-12-01T01:30:00Z"));
}

#[test]
fn jitter_is_the_same_after_a_restart_and_another_for_others() {
    let file = ScheduleFile {
        at: Some("0 2 * * *".into()),
        jitter: Some(Span::hours(1)),
        ..ScheduleFile::default()
    };
    let due = |name: &str, day: u64| {
        let schedule = file.check(USUAL).unwrap().for_list(name);
        schedule.due(Some(schedule.window(at(day * 86_400))), None, at(day * 86_400)).as_unix() % 86_400
    };
    assert_eq!(due("a", 1), due("a", 1));
    let times: std::collections::BTreeSet<u64> =
        ["a", "b", "c"].iter().flat_map(|name| (0..20).map(|day| due(name, day))).collect();
    assert!(times.len() > 50, "{times:?}");
    assert!(times.iter().all(|time| (7_200..=10_800).contains(time)), "{times:?}");
}

#[test]
fn a_clock_that_was_ahead_is_mended_at_once() {
    let schedule = weekly();
    let last = schedule.window(at(30 * 365 * 86_400));
    assert_eq!(schedule.due(Some(last), None, at(0)), at(0));
    let mended = schedule.window(at(0));
    assert!(schedule.due(Some(mended), None, at(1)) > at(1));
}

#[test]
fn pauses_grow_and_stay_short() {
    assert_eq!([1, 2, 3, 7, 100].map(|n| pause(n).as_secs()), [1, 2, 4, 60, 60]);
}

fn spans(most: u64) -> impl Strategy<Value = Option<Span>> {
    proptest::option::of((0..most).prop_map(Span::seconds))
}

fn rhythms() -> impl Strategy<Value = (Option<Span>, Option<String>, Option<String>)> {
    let zones = prop::sample::select(vec![
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Asia/Kathmandu",
    ]);
    let hours = prop::sample::select(vec!["*", "2", "1,2,3", "*/6", "8-18/2"]);
    let days = prop::sample::select(vec!["* * *", "* * MON-FRI", "1,15 * *", "* * SUN"]);
    let times = (0..60_u8, hours, days, zones).prop_map(|(minute, hours, days, zone)| {
        (None, Some(format!("{minute} {hours} {days}")), Some(zone.to_owned()))
    });
    prop_oneof![spans(9 * 86_400).prop_map(|interval| (interval, None, None)), times]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the schedule, the start and the changes of status: each CRL is due later
    /// than the one before was signed, and no later than its end less the overlap.
    #[test]
    fn the_next_is_always_out_before_the_old_ends(
        validity in 3_600..40_u64 * 86_400,
        (interval, at_times, time_zone) in rhythms(),
        (jitter, overlap, backdate) in (spans(7_200), spans(86_400), spans(3_600)),
        (after, min_interval) in (spans(600), spans(3_600)),
        start in 0..2_u64 * 366 * 86_400,
        changes in prop::collection::vec(proptest::option::of(0..200_000_u64), 40),
    ) {
        let file = ScheduleFile {
            validity: Some(Span::seconds(validity)),
            interval,
            at: at_times,
            time_zone,
            jitter,
            overlap,
            backdate,
            after_revocation: Some(SpanOrOff(after)),
            min_interval,
            margin: None,
        };
        let Ok(schedule) = file.check(USUAL) else { return Ok(()) };
        let schedule = schedule.for_list("issuing");
        // The same again, by another process.
        let other = file.check(USUAL).unwrap().for_list("issuing");
        let mut now = at(start);
        for change in changes {
            let last = schedule.window(now);
            let changed = change.map(|seconds| now.saturating_add(seconds));
            let scheduled = schedule.due(Some(last), None, now);
            let due = schedule.due(Some(last), changed, now);
            prop_assert!(due > now || min_interval.unwrap_or_default().as_secs() == 0);
            prop_assert!(scheduled > now && due >= now && due <= scheduled);
            prop_assert!(due.saturating_add(schedule.overlap.as_secs()) <= last.next_update);
            if let (Some(changed), Some(after)) = (changed, after) {
                let apart = now.saturating_add(min_interval.unwrap_or_default().as_secs());
                prop_assert!(due <= changed.saturating_add(after.as_secs()).max(apart));
                prop_assert!(due >= apart.min(scheduled));
            }
            prop_assert_eq!(other.due(Some(last), changed, due), due);
            now = due.max(now.saturating_add(1));
        }
    }
}
