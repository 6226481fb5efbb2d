//! When evictions may start: windows that a cron schedule opens.

use std::collections::BTreeMap;
use std::sync::Arc;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

use crate::api::{RebalanceWindow, ZoneSpreadPolicySpec};

/// A schedule that does not occur within this time never does: leap days are
/// at most eight years apart.
const OCCURS_WITHIN_YEARS: i32 = 9;

/// The windows of a policy, and of the tiers that have their own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calendar {
    all: Windows,
    tiers: BTreeMap<String, Windows>,
}

impl Calendar {
    /// What the policy says, or why it cannot be read: the field and the remedy.
    pub(in crate::observe) fn of(spec: &ZoneSpreadPolicySpec) -> Result<Self, String> {
        let read = |windows: Option<&Vec<RebalanceWindow>>, field: &str| {
            Windows::read(windows.map_or(&[], Vec::as_slice), field)
        };
        let all = read(spec.rebalance.windows.as_ref(), "spec.rebalance.windows")?;
        let mut tiers = BTreeMap::new();
        for tier in spec.tiers.iter().filter(|tier| tier.rebalance.windows.is_some()) {
            let field = format!("spec.tiers[{}].rebalance.windows", tier.name);
            tiers.insert(tier.name.clone(), read(tier.rebalance.windows.as_ref(), &field)?);
        }
        Ok(Self { all, tiers })
    }

    /// The windows of a tier.
    #[must_use]
    pub fn of_tier(&self, name: &str) -> &Windows {
        self.tiers.get(name).unwrap_or(&self.all)
    }
}

/// The times in which evictions may start; any time if there are no windows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Windows(Arc<[Window]>);

/// Whether evictions may start, and when that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// At any time.
    Always,
    /// Now, and until then at least.
    Open {
        /// The end of the window, or of the last of those that overlap now.
        until: Timestamp,
    },
    /// Not before then.
    Closed {
        /// When the next window opens.
        opens: Option<Timestamp>,
    },
}

impl Opening {
    /// When the answer may change.
    #[must_use]
    pub const fn changes(self) -> Option<Timestamp> {
        match self {
            Self::Always => None,
            Self::Open { until } => Some(until),
            Self::Closed { opens } => opens,
        }
    }
}

impl Windows {
    fn read(windows: &[RebalanceWindow], field: &str) -> Result<Self, String> {
        let read = |(at, window)| Window::read(window, &format!("{field}[{at}]"));
        windows.iter().enumerate().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether evictions may start now.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Opening {
        if self.0.is_empty() {
            return Opening::Always;
        }
        let openings = || self.0.iter().map(|window| window.at(now));
        let ends = openings().filter_map(|opening| match opening {
            Opening::Open { until } => Some(until),
            _ => None,
        });
        match ends.max() {
            Some(until) => Opening::Open { until },
            None => Opening::Closed { opens: openings().filter_map(Opening::changes).min() },
        }
    }
}

/// One window, open for a while after each start.
#[derive(Clone, Debug, PartialEq)]
struct Window {
    schedule: Cron,
    duration: SignedDuration,
    time_zone: TimeZone,
}

impl Window {
    fn read(window: &RebalanceWindow, field: &str) -> Result<Self, String> {
        let name = window.time_zone.as_deref().unwrap_or("UTC");
        // Compiled in, so that a name means the same wherever the operator runs.
        let time_zone = TimeZoneDatabase::bundled().get(name).map_err(|_| {
            format!("{field}.timeZone: there is no time zone {name:?}: name one of the IANA database, such as Europe/London")
        })?;
        let remedy = "write five fields (minute, hour, day of month, month, day of week), such as 0 22 * * MON-FRI";
        let schedule = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build()
            .parse(&window.schedule)
            .map_err(|error| {
                let schedule = &window.schedule;
                format!("{field}.schedule: {schedule:?} is no cron schedule ({error}): {remedy}")
            })?;
        let duration = SignedDuration::try_from(window.duration)
            .map_err(|_| format!("{field}.duration is too long: at most 168h"))?;
        let window = Self { schedule, duration, time_zone };
        let begin = Timestamp::UNIX_EPOCH.to_zoned(window.time_zone.clone());
        let limit = begin.saturating_add(OCCURS_WITHIN_YEARS.years());
        if window.next_start(&begin).is_none_or(|start| start > limit) {
            let schedule = window.schedule.as_str();
            return Err(format!(
                "{field}.schedule: {schedule:?} never fires (such as 30 February): choose a valid day"
            ));
        }
        Ok(window)
    }

    /// The first start after `time`.
    fn next_start(&self, time: &Zoned) -> Option<Zoned> {
        self.schedule.find_next_occurrence(time, false).ok()
    }

    fn at(&self, now: Timestamp) -> Opening {
        // Starts are whole seconds.
        let second = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let start = second
            .checked_sub(self.duration)
            .ok()
            .and_then(|past| self.next_start(&past.to_zoned(self.time_zone.clone())))
            .map(|start| start.timestamp());
        match start {
            Some(start) if start <= now => {
                // Starts that come before this window closes keep it open.
                Opening::Open { until: start.saturating_add(self.duration).unwrap_or(start) }
            }
            opens => Opening::Closed { opens },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn windows(value: Value) -> Windows {
        let windows: Vec<RebalanceWindow> = serde_json::from_value(value).unwrap();
        Windows::read(&windows, "spec.rebalance.windows").unwrap()
    }

    fn one(schedule: &str, duration: &str, zone: &str) -> Windows {
        windows(json!([{"schedule": schedule, "duration": duration, "timeZone": zone}]))
    }

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    fn open(until: &str) -> Opening {
        Opening::Open { until: at(until) }
    }

    fn closed(opens: &str) -> Opening {
        Opening::Closed { opens: Some(at(opens)) }
    }

    #[test]
    fn without_windows_it_is_always_open() {
        assert_eq!(Windows::default().at(at("2026-01-01T00:00:00Z")), Opening::Always);
        assert_eq!(Opening::Always.changes(), None);
    }

    #[rstest]
    #[case("2026-01-05T21:59:59.999Z", closed("2026-01-05T22:00:00Z"))]
    #[case("2026-01-05T22:00:00Z", open("2026-01-06T00:00:00Z"))]
    #[case("2026-01-05T23:59:59.999Z", open("2026-01-06T00:00:00Z"))]
    #[case("2026-01-06T00:00:00Z", closed("2026-01-06T22:00:00Z"))]
    #[case("2026-01-09T23:59:59Z", open("2026-01-10T00:00:00Z"))]
    #[case("2026-01-10T22:30:00Z", closed("2026-01-12T22:00:00Z"))]
    fn it_opens_on_schedule_and_closes_after_its_duration(
        #[case] now: &str,
        #[case] expected: Opening,
    ) {
        let windows = one("0 22 * * MON-FRI", "2h", "UTC");
        assert_eq!(windows.at(at(now)), expected);
    }

    /// crontab(5) wants both where a field starts with a star; Kubernetes does not.
    #[test]
    fn either_kind_of_day_opens_it_also_with_a_step_as_for_a_cron_job() {
        let windows = one("0 22 */2 * MON", "1h", "UTC");
        // Thursday the 1st, Saturday the 3rd, Monday the 5th; Monday the 12th is even.
        for (now, opens) in [
            ("2026-01-01T23:00:00Z", "2026-01-03T22:00:00Z"),
            ("2026-01-03T23:00:00Z", "2026-01-05T22:00:00Z"),
            ("2026-01-11T23:00:00Z", "2026-01-12T22:00:00Z"),
        ] {
            assert_eq!(windows.at(at(now)), closed(opens), "after {now}");
        }
    }

    #[test]
    fn any_open_window_will_do_and_the_first_that_opens_is_told() {
        let windows = windows(json!([
            {"schedule": "0 22 * * *", "duration": "2h"},
            {"schedule": "0 23 * * *", "duration": "2h"},
            {"schedule": "0 6 * * SUN", "duration": "168h", "timeZone": "Asia/Tokyo"},
        ]));
        // The Sunday of Tokyo begins at 21:00Z on Saturday, and lasts the week.
        assert_eq!(windows.at(at("2026-01-03T20:00:00Z")), open("2026-01-03T21:00:00Z"));
        let windows = Windows(windows.0[..2].into());
        assert_eq!(windows.at(at("2026-01-03T23:30:00Z")), open("2026-01-04T01:00:00Z"));
        assert_eq!(windows.at(at("2026-01-04T01:00:00Z")), closed("2026-01-04T22:00:00Z"));
    }

    #[rstest]
    // 29 March 2026: 01:00 is followed by 02:00 in London.
    #[case::in_the_skipped_hour(
        "30 1 * * *",
        "2026-03-29T00:50:00Z",
        closed("2026-03-29T01:00:00Z")
    )]
    #[case::from_its_end_on("30 1 * * *", "2026-03-29T01:30:00Z", open("2026-03-29T02:00:00Z"))]
    #[case::a_day_later("30 1 * * *", "2026-03-29T02:00:00Z", closed("2026-03-30T00:30:00Z"))]
    // 25 October 2026: 01:00 to 02:00 occurs twice, first at 00:00Z.
    #[case::the_first_of_two("30 1 * * *", "2026-10-25T00:00:00Z", closed("2026-10-25T00:30:00Z"))]
    #[case::between_the_two("30 1 * * *", "2026-10-25T01:29:00Z", open("2026-10-25T01:30:00Z"))]
    #[case::not_the_second("30 1 * * *", "2026-10-25T01:30:00Z", closed("2026-10-26T01:30:00Z"))]
    fn daylight_saving_neither_skips_a_window_nor_opens_it_twice(
        #[case] schedule: &str,
        #[case] now: &str,
        #[case] expected: Opening,
    ) {
        assert_eq!(one(schedule, "1h", "Europe/London").at(at(now)), expected);
    }

    #[test]
    fn every_day_of_a_year_has_one_start_in_every_zone() {
        for zone in
            ["Europe/London", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo"]
        {
            for schedule in ["0 0 * * *", "30 1 * * *", "15 2 * * *", "0 3 * * *"] {
                let windows = one(schedule, "1m", zone);
                let mut now = at("2025-12-30T10:37:00Z");
                let mut days = Vec::new();
                while let Opening::Closed { opens: Some(opens) } = windows.at(now) {
                    let local = opens.to_zoned(TimeZone::get(zone).unwrap());
                    if local.year() > 2026 {
                        break;
                    }
                    days.push(local.date());
                    now = opens + SignedDuration::from_mins(1);
                }
                days.retain(|day| day.year() == 2026);
                let starts = days.len();
                days.dedup();
                assert_eq!((days.len(), starts), (365, 365), "{zone} {schedule}");
            }
        }
    }

    #[rstest]
    #[case("61 * * * *", "UTC", "schedule: \"61 * * * *\" is no cron schedule")]
    #[case("* * * *", "UTC", "write five fields (minute, hour,")]
    #[case("0 * * * * *", "UTC", "is no cron schedule")]
    #[case("0 0 * * * * 2030", "UTC", "is no cron schedule")]
    #[case("0 0 * * XYZ", "UTC", "is no cron schedule")]
    #[case("5-1 * * * *", "UTC", "is no cron schedule")]
    #[case("*/0 * * * *", "UTC", "is no cron schedule")]
    #[case("0 0 30 2 *", "UTC", "never fires (such as 30 February): choose a valid day")]
    #[case("0 0 31 4,6,9,11 *", "UTC", "never fires")]
    #[case(
        "0 0 * * *",
        "Mars/Olympus",
        "timeZone: there is no time zone \"Mars/Olympus\": name one of the IANA database, such as Europe/London"
    )]
    fn what_cannot_be_read_names_the_field_and_the_remedy(
        #[case] schedule: &str,
        #[case] zone: &str,
        #[case] expected: &str,
    ) {
        let spec = json!({
            "selector": {"matchLabels": {"app": "x"}},
            "tiers": [{"name": "was", "rebalance": {"windows": [
                {"schedule": "0 0 29 2 *", "duration": "1h"},
                {"schedule": schedule, "duration": "1h", "timeZone": zone},
            ]}}],
        });
        let error = Calendar::of(&serde_json::from_value(spec).unwrap()).unwrap_err();
        assert!(error.starts_with("spec.tiers[was].rebalance.windows[1]."), "{error}");
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_tier_has_the_windows_of_the_policy_unless_it_has_its_own() {
        let spec = json!({
            "selector": {"matchLabels": {"app": "x"}},
            "rebalance": {"windows": [{"schedule": "0 22 * * *", "duration": "1h"}]},
            "tiers": [
                {"name": "was", "rebalance": {"windows": [{"schedule": "0 3 * * *", "duration": "1h"}]}},
                {"name": "any", "rebalance": {"windows": []}},
                {"name": "same", "rebalance": {"holdDown": "1m"}},
            ],
        });
        let calendar = Calendar::of(&serde_json::from_value(spec).unwrap()).unwrap();
        let now = at("2026-01-05T00:00:00Z");
        let of = |tier: &str| calendar.of_tier(tier).at(now);
        assert_eq!(of("web"), closed("2026-01-05T22:00:00Z"));
        assert_eq!(of("same"), of("web"));
        assert_eq!(of("was"), closed("2026-01-05T03:00:00Z"));
        assert_eq!(of("any"), Opening::Always);
    }
}
