//! Groups of phones and linked devices.

use whatsapp_rust::features::{GroupCreateOptions, GroupParticipantOptions};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_s_group_reaches_a_linked_device_and_its_members_read_each_other() {
    let mut pair = Pair::new().await;
    let third = pair.sandbox.add_phone(None, Some("Salma")).unwrap();
    let members = [pair.own_number(), third.number.clone()];
    let group = pair.sandbox.create_group(&pair.other.number, "Tea", &members).unwrap();
    let jid: Jid = group.jid.parse().unwrap();
    pair.client
        .hear("group", |heard| match heard {
            Heard::Group { group } if *group == jid.to_string() => Some(()),
            _ => None,
        })
        .await;
    for words_said in ["first", "second"] {
        pair.sandbox.send(&pair.other.number, &group.jid, &says(words_said)).unwrap();
        let message = pair.client.message().await;
        assert_eq!(words(&message.message), Some(words_said));
        assert_eq!(message.info.source.chat.to_string(), group.jid);
        assert_eq!(message.info.source.sender.to_string(), pair.other.jid);
    }
    for words_said in ["third", "fourth"] {
        pair.client.inner().send_message(jid.clone(), text(words_said)).await.unwrap();
    }
    let heard = inbox(&pair.sandbox, &third.number, 4).await;
    let said = heard.iter().map(|item| item.said.text.as_deref().unwrap()).collect::<Vec<_>>();
    assert_eq!(said, ["first", "second", "third", "fourth"]);
    assert_eq!(heard[2].chat, group.jid);
    assert_eq!(heard[2].from, format!("{}@s.whatsapp.net", pair.own_number()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linked_device_makes_a_group_and_changes_who_is_in_it() {
    let pair = Pair::new().await;
    let third = pair.sandbox.add_phone(None, None).unwrap();
    let third_jid: Jid = third.jid.parse().unwrap();
    let client = pair.client.inner();
    let options = GroupCreateOptions::builder()
        .subject("Coffee")
        .participants(vec![GroupParticipantOptions::new(pair.other_jid())])
        .build();
    let made = client.groups().create_group(options).await.unwrap();
    let jid = made.metadata.id.clone();
    client.send_message(jid.clone(), text("two of us")).await.unwrap();
    assert_eq!(pair.inbox(1).await[0].chat, jid.to_string());
    client.groups().add_participants(&jid, std::slice::from_ref(&third_jid)).await.unwrap();
    client.send_message(jid.clone(), text("three of us")).await.unwrap();
    assert_eq!(inbox(&pair.sandbox, &third.number, 1).await[0].said.text.as_deref(), Some("three of us"));
    client.groups().remove_participants(&jid, &[third_jid]).await.unwrap();
    client.send_message(jid.clone(), text("two again")).await.unwrap();
    pair.inbox(3).await;
    assert_eq!(pair.sandbox.inbox(&third.number).unwrap().len(), 1);
    let groups = client.groups().get_participating().await.unwrap();
    assert_eq!(groups.len(), 1);
}
