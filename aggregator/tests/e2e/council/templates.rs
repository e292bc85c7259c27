//! Templates of one's own: read, followed, shown to the admin.

use serde_json::json;

use super::{CHAT, Room, question, says, write};

const OWN: &str = "description: Mine.\nmembers:\n  - {name: solo, persona: Alone.}\n";

#[tokio::test]
async fn a_folder_is_followed_and_a_mistake_keeps_the_last_good_content() {
    let room = Room::of(vec![("m", vec![says(&["x"])])], &[("mine.yaml", OWN)], "").await;
    let own = |list: &serde_json::Value| list.as_array().unwrap().iter().find(|it| it["name"] == "mine").cloned();
    let folder = room.templates.path();
    write(folder, "mine.yaml", &OWN.replace("Mine.", "Mine, too."));
    room.template_becomes(|list| own(list).is_some_and(|it| it["description"] == "Mine, too."))
        .await;
    write(folder, "mine.yaml", "members: [\n");
    write(folder, "more.yml", &OWN.replace("solo", "other"));
    room.has_templates(7).await;
    room.template_becomes(|list| own(list).is_some_and(|it| it["description"] == "Mine, too."))
        .await;
    let answer = room
        .ask(CHAT, &json!({"model": "council/mine", "messages": question()}))
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    // One of a built-in one's name stands before it.
    write(folder, "debate.yaml", OWN);
    room.template_becomes(|list| {
        list.as_array()
            .unwrap()
            .iter()
            .any(|it| it["name"] == "debate" && it["source"] == "file")
    })
    .await;
    for name in ["mine.yaml", "more.yml", "debate.yaml"] {
        std::fs::remove_file(folder.join(name)).unwrap();
    }
    room.has_templates(5).await;
    room.template_becomes(|list| list.as_array().unwrap().iter().all(|it| it["source"] == "built_in"))
        .await;
}

#[tokio::test]
async fn the_admin_reads_them_in_pages() {
    let room = Room::of(vec![("m", vec![says(&["x"])])], &[], "").await;
    let first = room.admin("/admin/council/templates?limit=2").await;
    assert_eq!(
        (&first["object"], &first["next_cursor"]),
        (&json!("list"), &json!("debate"))
    );
    assert_eq!(first["data"][1]["model"], "council/debate");
    assert_eq!(first["data"][1]["synthesizer"]["name"], "judge");
    let rest = room.admin("/admin/council/templates?cursor=debate").await;
    assert_eq!(
        (rest["data"].as_array().unwrap().len(), &rest["next_cursor"]),
        (3, &json!(null))
    );
    let closed = room.stand.service.request("GET", "/admin/council/templates").await;
    assert_eq!(closed.status(), 401);
}
