"""Names of the events that Asterisk's manager interface sends: what each is read as, or why it is not."""

from collections.abc import Mapping
from typing import Final

_MEMBER: Final = "state of an agent: place in this queue, pause, phone, end of wrap-up"
_READ: Final[Mapping[str, str]] = {
    "QueueCallerJoin": "queued; queued_at of the call",
    "QueueCallerLeave": "ended, if no agent was being rung, or the caller then enters another queue",
    "QueueCallerAbandon": "ended; the call was abandoned",
    "AgentCalled": "offered, the contact and the agent; the agent serves this queue",
    "AgentRingNoAnswer": "offer over; the caller waits on, unless other agents are still rung",
    "AgentConnect": "connected; the agent is busy",
    "AgentComplete": "ended; the call was answered; the agent is no longer busy with it",
    "AgentDump": "ended: the agent hung up during the announcement",
    "Hold": "held, if the leg on which it was pressed is the agent's; a caller's hold changes nothing",
    "Unhold": "connected again, likewise",
    "BlindTransfer": "transfer of the call, where Result is Success",
    "AttendedTransfer": "transfer of the call, where Result is Success",
    "QueueMemberAdded": _MEMBER,
    "QueueMemberRemoved": "state of an agent: no longer in this queue; offline once in none",
    "QueueMemberPause": _MEMBER,
    "QueueMemberStatus": _MEMBER,
    "QueueMemberPenalty": _MEMBER,
    "QueueMemberRinginuse": _MEMBER,
    "QueueMember": f"{_MEMBER}; of a snapshot (action QueueStatus), if the bridge adds Timestamp",
    "QueueParams": "of a snapshot, if the bridge adds Timestamp: who waits in this queue and is not in the "
    "QueueEntry events of the next 10 s has gone",
    "Shutdown": "ended: all calls under way",
    "FullyBooted": "ended: all calls from before Timestamp less Uptime, if the bridge adds Timestamp",
    "QueueEntry": "queued since Timestamp less Wait; of a snapshot, if the bridge adds Timestamp",
}
_NOT_READ: Final[Mapping[str, str]] = {
    "tells of no single caller or agent": """
        QueueStatusComplete QueueSummary QueueSummaryComplete Agents AgentsComplete
        """,
    "of the agent pool: QueueMemberStatus of the member Agent/… says the same": "AgentLogin AgentLogoff",
    "names a phone, not an agent: QueueMemberStatus says the same per queue": """
        ContactStatus DeviceStateChange DeviceStateListComplete DNDState ExtensionStateListComplete
        ExtensionStatus PeerStatus PresenceStateChange PresenceStateListComplete PresenceStatus Registry
        """,
    "a step of a channel; what it means for a queue comes as an event of the queue": """
        BridgeCreate BridgeDestroy BridgeEnter BridgeLeave BridgeMerge BridgeVideoSourceUpdate
        ChannelTalkingStart ChannelTalkingStop ChanSpyStart ChanSpyStop DialBegin DialEnd DialState Flash
        Hangup HangupHandlerPop HangupHandlerPush HangupHandlerRun HangupRequest LocalBridge
        LocalOptimizationBegin LocalOptimizationEnd MCID MusicOnHoldStart MusicOnHoldStop NewAccountCode
        NewCallerid NewConnectedLine NewExten Newchannel Newstate OriginateResponse Pickup Rename
        SoftHangupRequest VarSet Wink DTMFBegin DTMFEnd
        """,
    "not of a queue: parking, conferences, recording, fax, voice mail": """
        ConfbridgeEnd ConfbridgeJoin ConfbridgeLeave ConfbridgeList ConfbridgeListComplete
        ConfbridgeListRooms ConfbridgeListRoomsComplete ConfbridgeMute ConfbridgeRecord ConfbridgeStart
        ConfbridgeStopRecord ConfbridgeTalking ConfbridgeUnmute FAXSession FAXSessionsComplete
        FAXSessionsEntry FAXStats FAXStatus MeetmeEnd MeetmeJoin MeetmeLeave MeetmeList MeetmeListComplete
        MeetmeListRooms MeetmeListRoomsComplete MeetmeMute MeetmeTalkRequest MeetmeTalking MessageWaiting
        MiniVoiceMail MixMonitorMute MixMonitorStart MixMonitorStop MWIGet MWIGetComplete ParkedCall
        ParkedCallGiveUp ParkedCallSwap ParkedCallTimeOut ParkedCallsComplete Parkinglot
        ParkinglotsComplete ReceiveFAX SendFAX UnParkedCall VoicemailBoxDetailComplete
        VoicemailPasswordChange VoicemailUserDetailComplete VoicemailUserEntryComplete CCAvailable
        CCCallerRecalling CCCallerStartMonitoring CCCallerStopMonitoring CCFailure CCMonitorFailed
        CCOfferTimerStart CCRecallComplete CCRequestAcknowledged CCRequested
        """,
    "a record or charge after the call": "AOC-D AOC-E AOC-S CEL Cdr",
    "says that a part of Asterisk runs or fails, which names no caller and no agent": """
        Alarm AlarmClear DeadlockStart FakeMI HookResponse JabberStatus Load LogChannel
        MobileStatus PJSIPMaintenanceStatus PJSIPMaintenanceStatusComplete Reload RTCPReceived RTCPSent
        SpanAlarm SpanAlarmClear Unload CloseSession
        """,
    "of a dial plan or application of your own": """
        AGIExecEnd AGIExecStart AsyncAGIEnd AsyncAGIExec AsyncAGIStart UserEvent WaitEventComplete
        """,
    "security": """
        AuthMethodNotAllowed ChallengeResponseFailed ChallengeSent FailedACL InvalidAccountID
        InvalidPassword InvalidTransport LoadAverageLimit MemoryLimit RequestBadFormat RequestNotAllowed
        RequestNotSupported SessionLimit SuccessfulAuth UnexpectedAddress
        """,
    "answer to another question of the bridge": """
        AorDetail AorList AorListComplete AuthDetail AuthList AuthListComplete BridgeInfoChannel
        BridgeInfoComplete BridgeListComplete BridgeListItem BridgeTechnologyListComplete
        BridgeTechnologyListItem ContactList ContactListComplete ContactStatusDetail
        ContactStatusDetailComplete CoreShowChannel CoreShowChannelMap CoreShowChannelMapComplete
        CoreShowChannelsComplete DAHDIChannel DAHDIShowChannels DAHDIShowChannelsComplete DAHDIShowStatus
        DAHDIShowStatusComplete DBGetComplete DBGetResponse DBGetTreeComplete DBGetTreeResponse
        EndpointDetail EndpointDetailComplete EndpointList EndpointListComplete IdentifyDetail
        InboundRegistrationDetail InboundRegistrationDetailComplete InboundSubscriptionDetail
        InboundSubscriptionDetailComplete ListDialplan OutboundRegistrationDetail
        OutboundRegistrationDetailComplete OutboundSubscriptionDetail OutboundSubscriptionDetailComplete
        PRIShowSpansComplete PeerEntry PeerlistComplete RegistrationsComplete RegistryEntry
        ResourceListDetail ResourceListDetailComplete ShowDialPlanComplete Status StatusComplete
        TransportDetail
        """,
}
AMI_EVENT_NAMES: Final[Mapping[str, str]] = {
    **_READ,
    **{name: f"not read: {reason}" for reason, names in _NOT_READ.items() for name in names.split()},
}
"""Every event that Asterisk's own documentation or source names (version 22), the read ones first."""
