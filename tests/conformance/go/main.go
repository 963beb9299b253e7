// The official Go SDK, driven by lines of JSON: commands on stdin, answers and events on stdout.
package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/centrifugal/centrifuge-go"
)

const (
	reconnectMin = 20 * time.Millisecond
	reconnectMax = 200 * time.Millisecond
	patience     = 15 * time.Second // a slow machine is no reason to give a server up
	lineBytesMax = 1 << 20
)

type message map[string]any

type command struct {
	ID         int                        `json:"id"`
	Command    string                     `json:"command"`
	URL        string                     `json:"url"`
	Protobuf   bool                       `json:"protobuf"`
	Tokens     []*string                  `json:"tokens"`
	Headers    map[string]string          `json:"headers"`
	Channel    string                     `json:"channel"`
	Method     string                     `json:"method"`
	Data       json.RawMessage            `json:"data"`
	Base64     *string                    `json:"base64"`
	Limit      int32                      `json:"limit"`
	Since      *centrifuge.StreamPosition `json:"since"`
	Reverse    bool                       `json:"reverse"`
	JoinLeave  bool                       `json:"join_leave"`
	Delta      centrifuge.DeltaType       `json:"delta"`
	TagsFilter *filter                    `json:"tags_filter"`
}

type filter struct {
	Op    string   `json:"op"`
	Key   string   `json:"key"`
	Cmp   string   `json:"cmp"`
	Val   string   `json:"val"`
	Vals  []string `json:"vals"`
	Nodes []filter `json:"nodes"`
}

func (f *filter) node() *centrifuge.FilterNode {
	if f == nil {
		return nil
	}
	var nodes []*centrifuge.FilterNode
	for _, child := range f.Nodes {
		nodes = append(nodes, child.node())
	}
	switch f.Op + f.Cmp {
	case "and":
		return centrifuge.FilterAnd(nodes...)
	case "or":
		return centrifuge.FilterOr(nodes...)
	case "not":
		return centrifuge.FilterNot(nodes[0])
	case "eq":
		return centrifuge.FilterEq(f.Key, f.Val)
	case "in":
		return centrifuge.FilterIn(f.Key, f.Vals...)
	case "gte":
		return centrifuge.FilterGte(f.Key, f.Val)
	}
	panic("no filter of this driver: " + f.Op + f.Cmp)
}

var output sync.Mutex

func say(what message) {
	line, err := json.Marshal(what)
	if err != nil {
		panic(err)
	}
	output.Lock()
	defer output.Unlock()
	os.Stdout.Write(append(line, '\n'))
}

// Payloads are documents to the tests; what is none is shown in base64.
func shown(data []byte) any {
	if len(data) == 0 {
		return nil
	}
	if json.Valid(data) {
		return json.RawMessage(data)
	}
	return message{"base64": base64.StdEncoding.EncodeToString(data)}
}

func payload(c command) []byte {
	if c.Base64 == nil {
		return c.Data
	}
	data, err := base64.StdEncoding.DecodeString(*c.Base64)
	if err != nil {
		panic(err)
	}
	return data
}

func person(info centrifuge.ClientInfo) message {
	return message{"user": info.User, "client": info.Client,
		"conn_info": shown(info.ConnInfo), "chan_info": shown(info.ChanInfo)}
}

func publication(pub centrifuge.Publication) message {
	tags, user := pub.Tags, any(nil)
	if tags == nil {
		tags = map[string]string{}
	}
	if pub.Info != nil {
		user = pub.Info.User
	}
	return message{"data": shown(pub.Data), "offset": pub.Offset, "tags": tags, "user": user}
}

func position(at *centrifuge.StreamPosition, what message) message {
	if at != nil {
		what["offset"], what["epoch"] = at.Offset, at.Epoch
	}
	return what
}

func about(event, channel string, what message) {
	what["event"], what["channel"] = event, channel
	say(what)
}

// asker gives one token after the other, the last for ever; in place of null none ever comes.
func asker(tokens []*string, what message) func() (string, error) {
	if len(tokens) == 0 {
		return nil
	}
	return func() (string, error) {
		say(what)
		token := tokens[0]
		if len(tokens) > 1 {
			tokens = tokens[1:]
		}
		if token == nil {
			select {}
		}
		return *token, nil
	}
}

func split(tokens []*string) (string, []*string) {
	if len(tokens) == 0 {
		return "", nil
	}
	return *tokens[0], tokens[1:]
}

var client *centrifuge.Client

func connect(c command) error {
	token, rest := split(c.Tokens)
	config := centrifuge.Config{
		Token: token, Data: c.Data, Header: http.Header{},
		ReadTimeout: patience, WriteTimeout: patience, HandshakeTimeout: patience,
		MinReconnectDelay: reconnectMin, MaxReconnectDelay: reconnectMax,
		Proxy: func(*http.Request) (*url.URL, error) { return nil, nil },
	}
	for name, value := range c.Headers {
		config.Header.Set(name, value)
	}
	if ask := asker(rest, message{"event": "token asked"}); ask != nil {
		config.GetToken = func(centrifuge.ConnectionTokenEvent) (string, error) { return ask() }
	}
	if c.Protobuf {
		client = centrifuge.NewProtobufClient(c.URL, config)
	} else {
		client = centrifuge.NewJsonClient(c.URL, config)
	}
	listen(client)
	return client.Connect()
}

func listen(client *centrifuge.Client) {
	client.OnConnecting(func(e centrifuge.ConnectingEvent) {
		say(message{"event": "connecting", "code": e.Code, "reason": e.Reason})
	})
	client.OnConnected(func(e centrifuge.ConnectedEvent) {
		say(message{"event": "connected", "client": e.ClientID, "data": shown(e.Data)})
	})
	client.OnDisconnected(func(e centrifuge.DisconnectedEvent) {
		say(message{"event": "disconnected", "code": e.Code, "reason": e.Reason})
	})
	client.OnSubscribed(func(e centrifuge.ServerSubscribedEvent) {
		about("server subscribed", e.Channel, position(e.StreamPosition, message{"recoverable": e.Recoverable,
			"positioned": e.Positioned, "was_recovering": e.WasRecovering, "recovered": e.Recovered,
			"data": shown(e.Data)}))
	})
	client.OnUnsubscribed(func(e centrifuge.ServerUnsubscribedEvent) {
		about("server unsubscribed", e.Channel, message{})
	})
	client.OnPublication(func(e centrifuge.ServerPublicationEvent) {
		about("server publication", e.Channel, publication(e.Publication))
	})
	client.OnJoin(func(e centrifuge.ServerJoinEvent) { about("server join", e.Channel, person(e.ClientInfo)) })
	client.OnLeave(func(e centrifuge.ServerLeaveEvent) { about("server leave", e.Channel, person(e.ClientInfo)) })
}

func subscribe(c command) error {
	token, rest := split(c.Tokens)
	config := centrifuge.SubscriptionConfig{
		Token: token, Data: c.Data, JoinLeave: c.JoinLeave, Delta: c.Delta, TagsFilter: c.TagsFilter.node(),
		MinResubscribeDelay: reconnectMin, MaxResubscribeDelay: reconnectMax,
	}
	asked := message{"event": "subscription token asked", "channel": c.Channel}
	if ask := asker(rest, asked); ask != nil {
		config.GetToken = func(centrifuge.SubscriptionTokenEvent) (string, error) { return ask() }
	}
	subscription, err := client.NewSubscription(c.Channel, config)
	if err != nil {
		return err
	}
	subscription.OnSubscribed(func(e centrifuge.SubscribedEvent) {
		about("subscribed", c.Channel, position(e.StreamPosition, message{"recoverable": e.Recoverable,
			"positioned": e.Positioned, "was_recovering": e.WasRecovering, "recovered": e.Recovered,
			"data": shown(e.Data)}))
	})
	subscription.OnUnsubscribed(func(e centrifuge.UnsubscribedEvent) {
		about("unsubscribed", c.Channel, message{"code": e.Code, "reason": e.Reason})
	})
	subscription.OnSubscribing(func(e centrifuge.SubscribingEvent) {
		about("subscribing", c.Channel, message{"code": e.Code, "reason": e.Reason})
	})
	subscription.OnError(func(e centrifuge.SubscriptionErrorEvent) {
		about("subscription error", c.Channel, message{"code": codeOf(e.Error)})
	})
	subscription.OnPublication(func(e centrifuge.PublicationEvent) {
		about("publication", c.Channel, publication(e.Publication))
	})
	subscription.OnJoin(func(e centrifuge.JoinEvent) { about("join", c.Channel, person(e.ClientInfo)) })
	subscription.OnLeave(func(e centrifuge.LeaveEvent) { about("leave", c.Channel, person(e.ClientInfo)) })
	return subscription.Subscribe()
}

func codeOf(err error) uint32 {
	var refused *centrifuge.Error
	if errors.As(err, &refused) {
		return refused.Code
	}
	return 0
}

func history(ctx context.Context, c command) (message, error) {
	result, err := client.History(ctx, c.Channel, centrifuge.WithHistoryLimit(c.Limit),
		centrifuge.WithHistorySince(c.Since), centrifuge.WithHistoryReverse(c.Reverse))
	if err != nil {
		return nil, err
	}
	publications := []message{}
	for _, pub := range result.Publications {
		publications = append(publications, publication(pub))
	}
	return message{"publications": publications, "offset": result.Offset, "epoch": result.Epoch}, nil
}

func presence(ctx context.Context, c command) (message, error) {
	result, err := client.Presence(ctx, c.Channel)
	if err != nil {
		return nil, err
	}
	clients := message{}
	for id, info := range result.Clients {
		clients[id] = person(info)
	}
	return message{"clients": clients}, nil
}

func run(c command) (message, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	switch c.Command {
	case "connect":
		// What failed at first is tried again, and told as an event.
		_ = connect(c)
		return message{}, nil
	case "reconnect":
		return message{}, client.Connect()
	case "disconnect":
		return message{}, client.Disconnect()
	case "subscribe":
		return message{}, subscribe(c)
	case "resubscribe":
		subscription, _ := client.GetSubscription(c.Channel)
		return message{}, subscription.Subscribe()
	case "unsubscribe":
		subscription, _ := client.GetSubscription(c.Channel)
		return message{}, subscription.Unsubscribe()
	case "publish":
		_, err := client.Publish(ctx, c.Channel, payload(c))
		return message{}, err
	case "history":
		return history(ctx, c)
	case "presence":
		return presence(ctx, c)
	case "presence_stats":
		result, err := client.PresenceStats(ctx, c.Channel)
		return message{"num_clients": result.NumClients, "num_users": result.NumUsers}, err
	case "rpc":
		result, err := client.RPC(ctx, c.Method, payload(c))
		return message{"data": shown(result.Data)}, err
	case "send":
		return message{}, client.Send(ctx, payload(c))
	}
	panic("no command of this driver: " + c.Command)
}

func answer(c command) {
	result, err := run(c)
	if err != nil {
		say(message{"id": c.ID, "error": message{"code": codeOf(err), "message": err.Error()}})
		return
	}
	say(message{"id": c.ID, "result": result})
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, lineBytesMax)
	say(message{"event": "ready"})
	for lines.Scan() {
		var c command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			panic(err)
		}
		go answer(c)
	}
}
