//! Which kube-scheduler it is: its plugins differ by minor version.
//!
//! What differs is in the plugins' own files, which take the version as an input.
//! `docs/facts.md` lists it with the source files.

use std::fmt;

/// A minor version of kube-scheduler whose plugins are modelled, with the feature gates
/// that are on by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SchedulerVersion {
    /// 1.33.
    V1_33,
    /// 1.34.
    V1_34,
    /// 1.35.
    V1_35,
    /// 1.36.
    V1_36,
    /// 1.37.
    #[default]
    V1_37,
}

impl SchedulerVersion {
    /// All of them, oldest first.
    pub const ALL: [Self; 5] = [Self::V1_33, Self::V1_34, Self::V1_35, Self::V1_36, Self::V1_37];
    /// The oldest.
    pub const OLDEST: Self = Self::V1_33;
    /// The newest.
    pub const NEWEST: Self = Self::V1_37;

    /// As people write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_33 => "1.33",
            Self::V1_34 => "1.34",
            Self::V1_35 => "1.35",
            Self::V1_36 => "1.36",
            Self::V1_37 => "1.37",
        }
    }

    /// Its release.
    #[must_use]
    pub const fn release(self) -> Release {
        Release { major: 1, minor: 33 + self as u32 }
    }

    /// Whether it hears of what happens to pods in the order in which it happens
    /// (`pkg/scheduler/eventhandlers.go`: one handler of all pods since 1.35).
    #[must_use]
    pub fn hears_in_order(self) -> bool {
        self >= Self::V1_35
    }

    /// The one that is nearest to a release.
    #[must_use]
    pub fn nearest(release: Release) -> Self {
        let not_newer = Self::ALL.into_iter().rev().find(|known| known.release() <= release);
        not_newer.unwrap_or(Self::OLDEST)
    }
}

impl fmt::Display for SchedulerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A minor release of Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    /// 1.
    pub major: u32,
    /// Such as 37.
    pub minor: u32,
}

impl Release {
    /// The release of a version such as `v1.35.4-eks-3025e55`, `1.35` or `v1.36.0-alpha.1`.
    #[must_use]
    pub fn parse(version: &str) -> Option<Self> {
        let version = version.trim();
        let (major, rest) = version.strip_prefix('v').unwrap_or(version).split_once('.')?;
        let digits = rest.find(|next: char| !next.is_ascii_digit()).unwrap_or(rest.len());
        // What follows a minor version: a patch, or what a vendor adds (`35+`).
        let follows = rest[digits..].chars().next();
        if !matches!(follows, None | Some('.' | '+' | '-')) {
            return None;
        }
        Some(Self { major: major.parse().ok()?, minor: rest[..digits].parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_as_vendors_write_them() {
        let minor = |text| Release::parse(text).map(|release| release.minor);
        for text in ["v1.35.4", "1.35", "v1.35.4-eks-3025e55", "v1.35.1+k3s1", "1.35+", "v1.35-rc"]
        {
            assert_eq!(minor(text), Some(35), "{text}");
        }
        for text in ["", "35", "v1.", "v1.x", "1.35x", "v.35", "one.35", "v1.99999999999.0"] {
            assert_eq!(minor(text), None, "{text}");
        }
    }

    #[test]
    fn a_release_that_is_not_modelled_is_predicted_as_the_nearest() {
        let nearest = |text| SchedulerVersion::nearest(Release::parse(text).unwrap());
        assert_eq!(nearest("v1.35.4"), SchedulerVersion::V1_35);
        assert_eq!(nearest("v1.38.0"), SchedulerVersion::NEWEST);
        assert_eq!(nearest("v2.0.0"), SchedulerVersion::NEWEST);
        assert_eq!(nearest("v1.29.3"), SchedulerVersion::OLDEST);
        for version in SchedulerVersion::ALL {
            assert_eq!(nearest(version.as_str()), version);
        }
    }
}
