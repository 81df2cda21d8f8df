// The whole way in TypeScript: a company, a skillbase, a campaign and its call list; an agent that calls; one call watched live; the figures.
//
//     node dist/example.js [PORT]      the gateway's port (8000) of a platform that ./dev up started
import {randomUUID} from "node:crypto";
import {setTimeout as sleep} from "node:timers/promises";

import {clientAt, InvalidArgument, pages, pieces, type Client, messages} from "./src/index.js";

const {FlowType, LlmProvider, SttProvider, TtsProvider} = messages.skillbase;
const {CallStatus, TurnRole} = messages.analytics;
const contacts = Buffer.from("phone_number,name,favourite\n+12015550123,Anna Example,haircut\n+12015550124,Ben Example,colour\nnobody,Cleo Example,\n");

/** A company, what its agent says, and a campaign with two contacts that may be called around the clock. */
async function prepare(client: Client) {
    const unique = randomUUID().slice(0, 8);
    const company = await client.company.createCompany({company: {name: `Glamour ${unique}`, slug: `glamour-${unique}`, settings: {locale: "en"}}});
    const skillbase = await client.skillbase.createSkillbase({skillbase: {
        companyId: company.id, name: "Booking", slug: "booking", isPublished: true,
        config: {
            context: {role: "Receptionist of a salon", style: "Short and friendly"},
            flow: {type: FlowType.LINEAR, states: [{id: "greeting"}, {id: "confirm", prompt: "Does the appointment still suit?"}]},
            voice: {ttsProvider: TtsProvider.CARTESIA, ttsVoiceId: "nova", sttProvider: SttProvider.DEEPGRAM, sttLanguage: "en"},
            llm: {provider: LlmProvider.GROQ, model: "llama-3.3-70b"},
        },
    }});
    const campaign = {companyId: company.id, skillbaseId: skillbase.id, name: "Reminders", callsPerMinute: 60000, dailyEndTime: "00:00"};
    try {
        await client.campaign.createCampaign({campaign: {...campaign, dailyStartTime: "25:00"}});
    } catch (error) {
        if (!(error instanceof InvalidArgument))
            throw error;
        console.log("refused:", ...error.violations.map(({field, message}) => `${field} ${message}`));
    }
    const created = await client.campaign.createCampaign({campaign: {...campaign, dailyStartTime: "00:00"}});
    const uploaded = await client.campaign.uploadCallList(pieces({campaignId: created.id, fileName: "contacts.csv"}, contacts));
    console.log(`uploaded: ${uploaded.created} of ${uploaded.total}; ${uploaded.errors[0]}`);
    return created;
}

/** One call: leave to dial, what happens in it, its end. The agent alone numbers its events. */
async function call(client: Client, task: messages.dispatch.ClaimedTask) {
    const step = {callId: task.callId, fence: task.fence};
    await client.dispatch.beginDial(step);
    await client.dispatch.reportProgress({...step, stage: messages.dispatch.CallStage.ANSWERED});
    let seq = 0;
    const report = async (event: NonNullable<messages.analytics.CallEvent["event"]>) => {
        await client.analytics.reportCallEventBatch({callId: task.callId, events: [{seq: ++seq, occurredAt: new Date(), event}]});
    };
    await report({$case: "started", value: {companyId: task.companyId, skillbaseId: task.skillbaseId, campaignId: task.campaignId, taskId: task.taskId}});
    const said = {sttDurationSec: 0, llmInputTokens: 900, llmOutputTokens: 18, ttsCharacters: 60, interrupted: false};
    await report({$case: "turn", value: {turnIndex: 0, role: TurnRole.ASSISTANT, content: `Hello ${task.contactName}, does tomorrow suit you?`, eouLatency: 512, ...said}});
    await report({$case: "finished", value: {status: CallStatus.COMPLETED, outcome: "success"}});
    await client.dispatch.finishTask({...step, disposition: messages.campaign.Disposition.ANSWERED, outcome: "success"});
}

/** Claims until both contacts have been called, keeping the leases meanwhile. */
async function work(client: Client, campaignId: string) {
    const held = new Map<string, number>();
    const heartbeat = setInterval(() => {
        const calls = [...held].map(([callId, fence]) => ({callId, fence}));
        client.dispatch.heartbeat({workerId: "typescript", calls}).catch((error: Error) => console.error(error.message));
    }, 15000);
    for (let called = 0; called < 2;) {
        const {tasks} = await client.dispatch.claimTasks({workerId: "typescript", max: 2, waitMs: 2000, campaignId});
        for (const task of tasks) {
            held.set(task.callId, task.fence);
            await call(client, task);
            held.delete(task.callId);
            called++;
        }
    }
    clearInterval(heartbeat);
}

/** The first call of the campaign, live, until it ends. */
async function watch(client: Client, campaignId: string) {
    const seen: string[] = [];
    for (const until = Date.now() + 30000; Date.now() < until; await sleep(50)) {
        const [first] = (await client.analytics.listCalls({campaignId})).items;
        if (!first)
            continue;
        for await (const message of client.analytics.watchCall({callId: first.id}, {timeoutMs: 60000})) {
            seen.push(message.event?.$case ?? "");
            console.log("  ", message.seq, message.event?.$case, message.event?.$case === "turn" ? message.event.value.content : "");
        }
        break;
    }
    return seen;
}

const client = clientAt(Number(process.argv[2] ?? 8000), "127.0.0.1", {token: process.env.DIALPLANE_TOKEN});
try {
    const campaign = await prepare(client);
    await client.campaign.startCampaign({id: campaign.id});
    const [watched] = await Promise.all([watch(client, campaign.id), work(client, campaign.id)]);
    for await (const task of pages(client.campaign.listTasks, {campaignId: campaign.id, limit: 1}))
        console.log("task:", task.contactName, task.status, task.outcome);
    const figures = await client.analytics.getMetrics({campaignId: campaign.id});
    console.log(JSON.stringify({total_calls: figures.totalCalls, completed_calls: figures.completedCalls, outcomes: figures.outcomeDistribution,
        avg_eou_latency: figures.avgEouLatency, watched}));
} finally {
    client.close();
}
