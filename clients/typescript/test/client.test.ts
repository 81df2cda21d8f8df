// The layer over grpc-js, against services of our own making for what no platform does on command, and against a running platform (DIALPLANE_PORT).
import assert from "node:assert/strict";
import {randomUUID} from "node:crypto";
import {after, before, test} from "node:test";

import {Metadata, Server, ServerCredentials, status, type ServerUnaryCall, type ServerWritableStream, type sendUnaryData} from "@grpc/grpc-js";

import {AnalyticsServiceDefinition, WatchCallResponse, type WatchCallRequest} from "../generated/dialplane/v1/analytics.js";
import {CompanyServiceDefinition, type Company, type CreateCompanyRequest, type GetCompanyRequest} from "../generated/dialplane/v1/company.js";
import {AlreadyExists, Cancelled, Client, clientAt, DeadlineExceeded, InvalidArgument, NotFound, pages, Unavailable} from "../src/index.js";

/** A CompanyService and an AnalyticsService that go away as often as they are told. */
const breaking = {failures: 0, calls: [] as string[], askedAfter: [] as number[]};
const server = new Server();
let broken: Client;
const live = clientAt(Number(process.env.DIALPLANE_PORT ?? 8000));

/** What ts-proto describes, as grpc-js wants to serve it. */
function served(definition: {fullName: string; methods: object}, names: string[]) {
    const methods = definition.methods as Record<string, {name: string; requestStream: boolean; responseStream: boolean;
        requestType: {decode(bytes: Uint8Array): unknown}; responseType: {encode(message: unknown): {finish(): Uint8Array}}}>;
    return Object.fromEntries(names.map((name) => [name, {
        path: `/${definition.fullName}/${methods[name]!.name}`, requestStream: methods[name]!.requestStream, responseStream: methods[name]!.responseStream,
        requestSerialize: (message: unknown) => message as Buffer, requestDeserialize: (bytes: Buffer) => methods[name]!.requestType.decode(bytes),
        responseSerialize: (message: unknown) => Buffer.from(methods[name]!.responseType.encode(message).finish()),
        responseDeserialize: (bytes: Buffer) => bytes,
    }]));
}

function failing(name: string): boolean {
    breaking.calls.push(name);
    return breaking.failures-- > 0;
}

const away = {code: status.UNAVAILABLE, details: "not now", metadata: new Metadata()};

before(async () => {
    server.addService(served(CompanyServiceDefinition, ["getCompany", "createCompany"]), {
        getCompany(call: ServerUnaryCall<GetCompanyRequest, Partial<Company>>, done: sendUnaryData<Partial<Company>>) {
            failing("getCompany") ? done(away) : done(null, CompanyServiceDefinition.methods.getCompany.responseType.fromPartial({id: call.request.id}));
        },
        createCompany(call: ServerUnaryCall<CreateCompanyRequest, Company>, done: sendUnaryData<Company>) {
            failing("createCompany") ? done(away) : done(null, call.request.company);
        },
    });
    server.addService(served(AnalyticsServiceDefinition, ["watchCall"]), {
        watchCall(call: ServerWritableStream<WatchCallRequest, WatchCallResponse>) {
            const {afterSeq, callId} = call.request;
            breaking.askedAfter.push(afterSeq);
            const write = (seq: number, $case: "init" | "turn" | "metrics", value: object) =>
                call.write(WatchCallResponse.fromPartial({seq, event: {$case, value} as never}));
            write(afterSeq, "init", {callId});
            for (let seq = afterSeq + 1; seq < 5; seq++) {
                write(seq, "turn", {turnIndex: seq});
                if (seq === 2 && breaking.failures-- > 0) { // between two messages of the same seq
                    call.emit("error", {...away});
                    return;
                }
                write(seq, "metrics", {turnCount: seq});
            }
            call.end();
        },
    });
    const port = await new Promise<number>((resolve, reject) => {
        server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => error ? reject(error) : resolve(bound));
    });
    const address = `127.0.0.1:${port}`;
    broken = new Client({skillbase: address, campaign: address, analytics: address, timeoutMs: 30000});
});

after(() => {
    broken.close();
    live.close();
    server.forceShutdown();
});

function reset(failures: number): void {
    Object.assign(breaking, {failures, calls: [], askedAfter: []});
}

test("only what may be repeated is", async () => {
    reset(2);
    assert.equal((await broken.company.getCompany({id: "x"})).id, "x");
    assert.deepEqual(breaking.calls, ["getCompany", "getCompany", "getCompany"]);
    reset(1);
    await assert.rejects(broken.company.createCompany({company: {name: "Once"}}), Unavailable);
    assert.deepEqual(breaking.calls, ["createCompany"]);
});

test("a stream resumes without loss or repetition", async () => {
    reset(2);
    const seen: [number, string | undefined][] = [];
    for await (const message of broken.analytics.watchCall({callId: "c"}))
        seen.push([message.seq, message.event?.$case]);
    assert.deepEqual(seen, [[0, "init"], ...[1, 2, 3, 4].flatMap((seq) => [[seq, "turn"], [seq, "metrics"]])]);
    assert.deepEqual(breaking.askedAfter, [0, 1, 1]);
});

test("a stream that is left is cancelled", async () => {
    reset(0);
    for await (const message of broken.analytics.watchCall({callId: "c"})) {
        assert.equal(message.event?.$case, "init");
        break;
    }
});

test("errors are typed", async () => {
    const slug = `typed-${randomUUID().slice(0, 12)}`;
    await assert.rejects(live.company.createCompany({company: {name: "", slug: "No spaces"}}), (error) => {
        assert.ok(error instanceof InvalidArgument);
        assert.deepEqual(error.violations.map(({field}) => field).sort(), ["company.name", "company.slug"]);
        return true;
    });
    await assert.rejects(live.company.getCompany({id: randomUUID()}), NotFound);
    await live.company.createCompany({company: {name: slug, slug}});
    await assert.rejects(live.company.createCompany({company: {name: `${slug} two`, slug}}),
        (error) => error instanceof AlreadyExists && error.reason === "SLUG_TAKEN");
    await assert.rejects(live.company.listCompanies({}, {timeoutMs: -1}), DeadlineExceeded);
});

test("a signal ends a call", async () => {
    const controller = new AbortController();
    const claim = live.dispatch.claimTasks({workerId: "nobody", waitMs: 60000, companyId: randomUUID()}, {signal: controller.signal});
    setTimeout(() => controller.abort(), 50);
    await assert.rejects(claim, Cancelled);
    await assert.rejects(live.company.listCompanies({}, {signal: controller.signal}), Cancelled);
});

test("pages come as they are needed", async () => {
    const company = await live.company.createCompany({company: {name: randomUUID(), slug: randomUUID(), settings: {deep: {list: [1, "two", null]}}}});
    assert.deepEqual(company.settings, {deep: {list: [1, "two", null]}});
    const prefix = {companyId: company.id};
    for (let i = 0; i < 5; i++)
        await live.suppression.createSuppression({...prefix, suppression: {phoneNumber: `+1201555010${i}`}});
    const seen: (string | undefined)[] = [];
    for await (const each of pages(live.suppression.listSuppressions, {...prefix, limit: 2}))
        seen.push(each.phoneNumber);
    assert.deepEqual(seen, [4, 3, 2, 1, 0].map((i) => `+1201555010${i}`));
});
