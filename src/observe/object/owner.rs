//! Who made an object.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::observe::value::name::Name;

/// A pod's controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// `ReplicaSet`, `StatefulSet`, `DaemonSet`, Job, or a custom kind.
    pub kind: Name,
    /// Its name.
    pub name: Name,
    /// Its uid.
    pub uid: Name,
}

impl Owner {
    /// Whether the pod that it makes in place of another has the name of that one.
    #[must_use]
    pub fn keeps_names(&self) -> bool {
        &*self.kind == "StatefulSet"
    }

    /// The one of an object's owners that controls it; `name` gives the shared copy of a name.
    pub(in crate::observe) fn among(
        owners: Option<&[OwnerReference]>,
        mut name: impl FnMut(&str) -> Name,
    ) -> Option<Self> {
        let owner = owners?.iter().find(|owner| owner.controller == Some(true))?;
        Some(Self { kind: name(&owner.kind), name: name(&owner.name), uid: name(&owner.uid) })
    }
}
