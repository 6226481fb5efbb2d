use rstest::rstest;

use super::*;
use crate::observe::{Index, Kind};

const PETCLINIC: &str = include_str!("../../../tests/fixtures/petclinic.yaml");

fn read_text(text: &str) -> Result<(Contents, Index), String> {
    let mut contents = Contents::default();
    let mut index = Index::default();
    read("cluster", text.as_bytes(), &mut contents, &mut |change| index.apply(change))
        .map_err(|error| error.to_string())?;
    Ok((contents, index))
}

/// The same as JSON, as `kubectl -o json` prints it.
fn json_of(yaml: &str) -> String {
    let value: serde_json::Value = serde_saphyr::from_str(yaml).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

#[rstest]
#[case::yaml(PETCLINIC.to_owned())]
#[case::json(json_of(PETCLINIC))]
fn what_kubectl_prints_is_read(#[case] text: String) {
    let (contents, index) = read_text(&text).unwrap();
    let counts = [Kind::Node, Kind::Pod, Kind::ReplicaSet, Kind::Service, Kind::Policy];
    assert_eq!(counts.map(|kind| contents.count(kind)), [6, 9, 2, 1, 1]);
    assert_eq!(contents.skipped().as_deref(), Some("1 ConfigMap"));
    let policy = index.policies().next().unwrap();
    assert_eq!(
        policy.tiers.values().map(std::collections::BTreeSet::len).collect::<Vec<_>>(),
        [6, 3]
    );
}

#[rstest]
#[case::documents(
    "---\napiVersion: v1\nkind: Node\nmetadata: {name: a}\n---\n---\napiVersion: v1\nkind: Node\nmetadata: {name: b}\n"
)]
#[case::json_documents(
    r#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"a"}} {"apiVersion":"v1","kind":"Node","metadata":{"name":"b"}}"#
)]
#[case::array(
    r#"[{"apiVersion":"v1","kind":"Node","metadata":{"name":"a"}},{"apiVersion":"v1","kind":"Node","metadata":{"name":"b"}}]"#
)]
#[case::what_the_api_says(
    r#"{"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}"#
)]
#[case::keys_in_any_order(
    r#"{"kind":"List","apiVersion":"v1","items":[{"metadata":{"name":"a"},"status":{},"kind":"Node","spec":{},"apiVersion":"v1"},{"spec":{"taints":[]},"apiVersion":"v1","metadata":{"name":"b"},"kind":"Node","status":{}}]}"#
)]
#[case::lists_of_lists(
    r#"{"apiVersion":"v1","items":[{"apiVersion":"v1","items":[{"apiVersion":"v1","kind":"Node","metadata":{"name":"a"}}],"kind":"NodeList"},{"apiVersion":"v1","kind":"Node","metadata":{"name":"b"}}],"kind":"List"}"#
)]
fn objects_may_be_written_in_many_ways(#[case] text: &str) {
    let (contents, index) = read_text(text).unwrap();
    assert_eq!(contents.count(Kind::Node), 2);
    let names: Vec<&str> = index.cluster().nodes().map(|(node, _)| &*node.name).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn nothing_of_an_object_is_lost_when_its_kind_comes_last() {
    let sorted = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"x"},"spec":{"nodeName":"n"},"status":{"phase":"Running"}}"#;
    let kind_last = r#"{"spec":{"nodeName":"n"},"status":{"phase":"Running"},"metadata":{"name":"a","namespace":"x"},"apiVersion":"v1","kind":"Pod"}"#;
    let pod = |text: &str| {
        let (_, index) = read_text(text).unwrap();
        index.cluster().pods().next().unwrap().1.clone()
    };
    assert_eq!(pod(sorted), pod(kind_last));
    assert_eq!(pod(sorted).node.as_deref(), Some("n"));
}

#[test]
fn objects_without_a_namespace_are_where_kubectl_would_put_them() {
    let (_, index) =
        read_text("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {}\n").unwrap();
    assert!(index.cluster().pod_id("default", "a").is_some());
}

#[test]
fn a_yaml_list_cut_off_after_any_line_is_noticed() {
    let whole = PETCLINIC.find("\nkind: List").unwrap();
    let begin = PETCLINIC.find("\nitems:").unwrap() + 8;
    let ends = PETCLINIC.match_indices('\n').map(|(at, _)| at + 1);
    for end in ends.filter(|end| (begin..=whole + 1).contains(end)) {
        let error = read_text(&PETCLINIC[..end]).map(|(contents, _)| contents).unwrap_err();
        let has_place = error.starts_with("cluster: line ");
        let has_object = error.contains("is the file cut off after ");
        // Before the first object there is none to name.
        assert!(has_place || has_object || end < 500, "cut at {end}: {error}");
    }
}

#[test]
fn a_json_list_cut_off_anywhere_is_noticed() {
    let json = json_of(PETCLINIC);
    let json = json.trim_end();
    for end in (1..json.len()).step_by(97).chain([json.len() - 1]) {
        let error = read_text(&json[..end]).map(|(contents, _)| contents).unwrap_err();
        assert!(error.contains("is it cut off?"), "cut at {end}: {error}");
        assert!(error.starts_with("cluster: line "), "cut at {end}: {error}");
    }
}

#[rstest]
#[case::yaml_type(
    "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: a}\nspec:\n  replicas: six\n",
    "cluster: line 5, column 13: invalid i32"
)]
#[case::json_type(
    "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"a\"}}\n{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"metadata\":{\"name\":\"b\"},\n\"spec\":{\"replicas\":\"six\"}}",
    "cluster: line 3, column 24: invalid type: string \"six\", expected i32 (in a ReplicaSet, after Node a)"
)]
#[case::no_kind("apiVersion: v1\nmetadata: {name: a}\n", "an object without kind")]
#[case::no_name("apiVersion: v1\nkind: Pod\nmetadata: {}\n", "metadata.name is missing")]
#[case::no_object("hello\n", "expected a Kubernetes object or a list of them")]
#[case::nothing("", "cluster is empty")]
#[case::bad_policy(
    "apiVersion: zonespread.io/v1alpha1\nkind: ZoneSpreadPolicy\nmetadata: {name: a}\nspec:\n  selector: {matchLabels: {app: a}}\n  mode: Sometimes\n",
    "cluster: line 6, column 9: "
)]
fn mistakes_are_told_with_their_place(#[case] text: &str, #[case] told: &str) {
    let error = read_text(text).map(|(contents, _)| contents).unwrap_err();
    assert!(error.contains(told), "{error}");
}

/// Charts explain their values in comments.
#[test]
fn comments_meet_no_limit() {
    let many = "# a line\n    # and another\n".repeat(100);
    let text = format!(
        "{many}---\n{many}apiVersion: v1\n{many}kind: Node\n{many}metadata:\n{many}  name: a\n{many}\
         spec:\n{many}  taints:\n{many}  - key: x\n{many}    effect: NoSchedule\n{many}  # last\n{many}"
    );
    assert_eq!(read_text(&text).unwrap().0.count(Kind::Node), 1);
}

#[test]
fn a_large_yaml_file_meets_no_limit() {
    // More nodes of YAML than documents from strangers may have.
    let many = "1,".repeat(300_000);
    let text = format!(
        "apiVersion: v1\nitems:\n- apiVersion: v1\n  data: [{many}1]\n  kind: ConfigMap\n\
         - apiVersion: v1\n  kind: Node\n  metadata: {{name: a}}\nkind: List\n"
    );
    assert_eq!(read_text(&text).unwrap().0.count(Kind::Node), 1);
}
