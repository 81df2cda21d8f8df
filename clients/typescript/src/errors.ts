// What goes wrong, as errors: one class a canonical code, each with the reason, the fields and the wait that the service named.
import {type ServiceError, status} from "@grpc/grpc-js";

import {BadRequest, ErrorInfo, RetryInfo} from "../generated/google/rpc/error_details.js";
import {Status} from "../generated/google/rpc/status.js";

/** One thing that is wrong with a request. */
export interface Violation {
    /** Its path, "campaign.daily_start_time". */
    field: string;
    message: string;
}

interface Details {
    reason?: string;
    violations: Violation[];
    retryAfterMs?: number;
}

/** The base of all. `message` is one sentence for people. */
export class DialplaneError extends Error {
    /** The service's word for programs, such as "STALE_FENCE". */
    readonly reason: string | undefined;
    /** Everything that is wrong with the request. */
    readonly violations: readonly Violation[];
    readonly retryAfterMs: number | undefined;

    constructor(readonly code: status, message: string, details: Details = {violations: []}, options?: ErrorOptions) {
        super(message, options);
        this.name = new.target.name;
        this.reason = details.reason;
        this.violations = details.violations;
        this.retryAfterMs = details.retryAfterMs;
    }
}

/** The request is wrong: see `violations`. */
export class InvalidArgument extends DialplaneError {}
/** There is no such thing. */
export class NotFound extends DialplaneError {}
/** A name is taken. */
export class AlreadyExists extends DialplaneError {}
/** The state does not allow it: see `reason`. */
export class FailedPrecondition extends DialplaneError {}
/** Somebody else was faster: read again, and decide. */
export class Aborted extends DialplaneError {}
/** Not allowed. */
export class PermissionDenied extends DialplaneError {}
/** Nobody knows who asks. */
export class Unauthenticated extends DialplaneError {}
/** Too much, or too often: see `retryAfterMs`. */
export class ResourceExhausted extends DialplaneError {}
/** The service, or what it needs, is away. */
export class Unavailable extends DialplaneError {}
/** No answer in time. It may have been done all the same. */
export class DeadlineExceeded extends DialplaneError {}
/** Ended by this side. */
export class Cancelled extends DialplaneError {}

const classes: {[code: number]: typeof DialplaneError} = {
    [status.INVALID_ARGUMENT]: InvalidArgument, [status.OUT_OF_RANGE]: InvalidArgument, [status.NOT_FOUND]: NotFound,
    [status.ALREADY_EXISTS]: AlreadyExists, [status.FAILED_PRECONDITION]: FailedPrecondition, [status.ABORTED]: Aborted,
    [status.PERMISSION_DENIED]: PermissionDenied, [status.UNAUTHENTICATED]: Unauthenticated, [status.RESOURCE_EXHAUSTED]: ResourceExhausted,
    [status.UNAVAILABLE]: Unavailable, [status.DEADLINE_EXCEEDED]: DeadlineExceeded, [status.CANCELLED]: Cancelled,
};

function readDetails(error: ServiceError): Details {
    const details: Details = {violations: []};
    const packed = error.metadata?.get("grpc-status-details-bin")[0];
    for (const detail of packed instanceof Buffer ? Status.decode(packed).details : []) {
        if (detail.typeUrl.endsWith("/google.rpc.ErrorInfo")) {
            details.reason = ErrorInfo.decode(detail.value).reason || undefined;
        } else if (detail.typeUrl.endsWith("/google.rpc.BadRequest")) {
            details.violations = BadRequest.decode(detail.value).fieldViolations.map(({field, description}) => ({field, message: description}));
        } else if (detail.typeUrl.endsWith("/google.rpc.RetryInfo")) {
            const delay = RetryInfo.decode(detail.value).retryDelay;
            if (delay)
                details.retryAfterMs = delay.seconds * 1000 + delay.nanos / 1e6;
        }
    }
    return details;
}

/** The error for what grpc-js reported. */
export function fromServiceError(error: ServiceError): DialplaneError {
    const made = classes[error.code] ?? DialplaneError;
    return new made(error.code, error.details || status[error.code] || error.message, readDetails(error), {cause: error});
}
